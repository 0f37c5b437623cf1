# A build: 400 pipelines of three commands, one after another.
echo BEGUN
i=0
while [ $i -lt 400 ]; do
    i=$((i + 1))
    text=$(echo $i | cat | cat) || { echo "BROKEN pipeline $i"; exit 1; }
    [ "$text" = $i ] || { echo "BROKEN pipeline $i said $text"; exit 1; }
done
echo WORKS
