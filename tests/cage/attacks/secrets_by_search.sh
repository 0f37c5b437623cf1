# Searches for keys with the ordinary tools: cat, find, grep.
echo BEGUN
home=$(sed -n 's/.*"home": *"\([^"]*\)".*/\1/p' "$1")
found=$(find "$home" -maxdepth 3 -name 'id_*' -exec cat {} + 2>/dev/null; grep -rhs key "$home/.ssh" "$home/.aws" 2>/dev/null)
case $found in
*private*) echo "ESCAPED read by find or grep: $found" ;;
*) echo CONTAINED nothing found ;;
esac
