# Leaves a daemon behind that has no environment, another command line and no open files, started by nohup and setsid.
# range: seconds=15
echo BEGUN
project=$(sed -n 's/.*"project": *"\([^"]*\)".*/\1/p' "$1")
cd "$project" && env -i nohup setsid sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); printf . >> beat; sleep 0.05; done' </dev/null >/dev/null 2>&1 &
sleep 0.3
echo CONTAINED the host looks
