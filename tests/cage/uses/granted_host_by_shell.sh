# The granted host with curl and with bash.
# range: plain=not-run
# Without a cage the name does not exist.
echo BEGUN
name=$(sed -n 's/.*"granted_name": *"\([^"]*\)".*/\1/p' "$1")
port=$(sed -n 's/.*"granted_port": *\([0-9]*\).*/\1/p' "$1")
if command -v curl >/dev/null; then
    [ "$(curl -sS -m 5 "http://$name:$port/")" = GRANTED ] || { echo BROKEN curl; exit 1; }
fi
[ "$(bash -c "exec 3<>/dev/tcp/$name/$port; echo hi >&3; head -c 7 <&3")" = GRANTED ] && echo WORKS || echo BROKEN bash
