# What shell scripts do: null device, standard error by name, here documents, process substitution, sub-shells, traps.
# range: with=pipes
echo BEGUN
set -e
echo nothing > /dev/null
echo "to stderr" > /dev/stderr
echo again >> /dev/stderr
cat < /dev/null
[ "$(cat <<END
here
END
)" = here ] || { echo BROKEN here document; exit 1; }
[ "$(bash -c 'diff <(echo a) <(echo a) && cat <(echo x)')" = x ] || { echo BROKEN process substitution; exit 1; }
[ "$(bash -c 'echo piped > >(cat); wait; sleep 0.1')" = piped ] || { echo BROKEN output substitution; exit 1; }
head -c 10 /dev/zero | wc -c | grep -q 10 || { echo BROKEN /dev/zero; exit 1; }
[ "$(sh -c 'trap "echo caught" TERM; kill -TERM $$')" = caught ] || { echo BROKEN trap; exit 1; }
(ulimit -n 100; true)
t=$(mktemp) && echo x > "$t" && rm "$t"
sleep 0.01 & wait
seq 1 100 | xargs -P 4 -n 10 echo > /dev/null
find "$(dirname "$1")" -name 'facts.json' | grep -q . || { echo BROKEN find; exit 1; }
echo WORKS
