#!/usr/bin/env bash
# Checks of the documents that need no cluster and no build. Prints what is wrong, ends with 1 if anything is.
# RELEASE=1 also refuses places that wait for numbers or transcripts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wrong=0
say() { wrong=$((wrong + 1)); printf 'docs: %s\n' "$1"; }

mapfile -t files < <(find . \( -name target -o -name .git \) -prune -o -name '*.md' -print | sort)

# Links to files of this repository lead somewhere.
for file in "${files[@]}"; do
  while read -r link; do
    target=${link%%#*}
    [[ -z $target || -e ${file%/*}/$target ]] || say "$file: the link $link leads nowhere"
  done < <(grep -oE '\]\([^)]+\)' "$file" | sed -E 's/^\]\((.*)\)$/\1/' | grep -vE '^(https?|mailto):' || true)
done

# Links to headings lead to one, by the names that GitHub gives them.
headings() {
  awk '/^ *```/ { code = !code; next } !code && /^#+ /' "$1" |
    LC_ALL=C.UTF-8 sed -E 's/^#+ +//; s/\[([^]]*)\]\([^)]*\)/\1/g; s/[^[:alnum:]_ -]//g; s/ /-/g; s/.*/\L&/'
}
declare -A there
for file in "${files[@]}"; do
  while read -r link; do
    target=$file
    [[ $link == \#* ]] || target=${file%/*}/${link%%#*}
    [[ -f $target ]] || continue
    [[ -v there[$target] ]] || there[$target]=$(headings "$target")
    grep -qxF -- "${link#*#}" <<<"${there[$target]}" || say "$file: the link $link leads to no heading"
  done < <(grep -oE '\]\([^) ]*#[^)]+\)' "$file" | sed -E 's/^\]\((.*)\)$/\1/' | grep -vE '^(https?|mailto):' | sort -u || true)
done

# The YAML in both READMEs is the one that is applied; comments may differ, since one is in Japanese.
bare() { sed -E '/^ *#/d; /^---$/d'; }
example=$(bare <examples/assistant/10-modeldeployment.yaml)
for file in README.md README.ja.md; do
  shown=$(awk '/^```yaml$/ { y = 1; next } /^```$/ { y = 0 } y' "$file" | bare)
  [[ $shown == "$example" ]] || say "$file: the YAML is not that of examples/assistant"
done

# What does not depend on the language is the same in a document and its Japanese twin: headings by their level, rows by
# their columns, blocks of code by their kind and length, the code words of the text, and the code itself but for its
# comments and what is Japanese in it.
shape() {
  awk '/^ *```/ { code = !code; print code ? $0 : lines " lines of code"; lines = 0; next }
    code { lines++; next }
    /^#+ / { print $1 }
    /^\|/ { print "row of " gsub(/\|/, "&") " bars" }' "$1"
}
# shellcheck disable=SC2016 # the backticks are those of the text
words() {
  awk '/^ *```/ { code = !code; next } !code' "$1" | tr -s '\n ' ' ' | grep -oE '`[^`]+`' | sed -E 's/<[^>]*>/<…>/g' | sort
}
code() { awk '/^ *```/ { code = !code; next } code' "$1" | sed -E 's/(^| +)#.*//; s/…/.../g' | sort -u; }
for twin in "${files[@]}"; do
  [[ $twin == *.ja.md ]] || continue
  file=${twin%.ja.md}.md
  if [[ ! -f $file ]]; then
    say "$twin: there is no $file"
    continue
  fi
  for part in shape words; do
    other=$(diff <("$part" "$file") <("$part" "$twin") | grep -m 5 '^[<>]' || true)
    [[ -z $other ]] || say "$twin: not as $file, here <, there >: ${other//$'\n'/; }"
  done
  other=$(comm -13 <(code "$file") <(code "$twin") | LC_ALL=C grep -m 3 -v '[^ -~]' || true)
  [[ -z $other ]] || say "$twin: this code is not in $file: $other"
done

# Every reason that the program can give is explained, in a row that begins with it.
mapfile -t reasons < <(awk '/^reasons! \{/ { r = 1 } r && /^    [A-Z][A-Za-z]*,$/ { gsub(/[ ,]/, ""); print } r && /^\}/ { r = 0 }' src/api/condition.rs || true)
[[ ${#reasons[@]} -ge 20 ]] || say "src/api/condition.rs: found only ${#reasons[@]} reasons"
for reason in "${reasons[@]}"; do
  grep -qE "^\| [^|]*\`$reason\`" docs/operations.md || say "docs/operations.md: the reason $reason is not explained"
done

# Every placeholder of the examples is explained.
while read -r place; do
  grep -qF "| \`$place\`" examples/README.md || say "examples/README.md: the placeholder $place is not explained"
done < <(grep -rhoE '\$\{[A-Z_]+\}' examples --include='*.yaml' | sort -u)

# Every decision is in the list.
for file in docs/design/[0-9]*.md; do
  grep -qF "($(basename "$file"))" docs/design/README.md || say "docs/design/README.md: $(basename "$file") is missing"
done

# Every test of the threat model is where its row says; … stands for the beginning of the name before it.
rows=0
while IFS=$'\t' read -r path name; do
  rows=$((rows + 1))
  if [[ ! -f $path ]]; then
    say "docs/threat-model.md: there is no file $path"
  elif [[ -z $name ]]; then
    say "docs/threat-model.md: a row names $path and no test in it"
  elif [[ $path == *.sh ]]; then
    grep -qE -- "^$name\(\) \{" "$path" || say "docs/threat-model.md: no function $name in $path"
  elif [[ $path == e2e/* ]]; then
    # A group's tests are listed in its mod.rs.
    [[ $name == …* ]] && ending=${name#…}\" || ending=\"$name\"
    grep -rqF --include='*.rs' -- "$ending" "$(dirname "$path")" || say "docs/threat-model.md: no test $name in $(dirname "$path")"
  else
    grep -qE -- "fn $name\\(|\"$name\"" "$path" || say "docs/threat-model.md: no test $name in $path"
  fi
done < <(awk '/^\|.*`/ {
  row = $0; sub(/ \|$/, "", row); sub(/.*\|/, "", row)
  path = ""; named = 1
  while (match(row, /`[^`]+`/)) {
    word = substr(row, RSTART + 1, RLENGTH - 2); row = substr(row, RSTART + RLENGTH)
    if (word ~ /^(src|tests|e2e)\//) { if (!named) print path "\t"; path = word; named = 0 }
    else { print path "\t" word; named = 1 }
  }
  if (!named) print path "\t"
}' docs/threat-model.md)
[[ $rows -ge 150 ]] || say "docs/threat-model.md: found only $rows tests"

# The chart and the program have one version.
crate=$(awk -F'"' '/^version = /{ print $2; exit }' Cargo.toml)
while read -r version; do
  [[ $version == "$crate" ]] || say "charts/sealroom/Chart.yaml: version $version is not that of Cargo.toml, $crate"
done < <(sed -nE 's/^(version|appVersion): "?([^"]*)"?$/\2/p' charts/sealroom/Chart.yaml)

if [[ -n ${RELEASE:-} ]]; then
  while read -r place; do say "waits for content: $place"; done < <(grep -rn '<!-- fill:' "${files[@]}" || true)
fi
[[ $wrong -eq 0 ]] && printf 'docs: %d files, %d reasons, nothing wrong\n' "${#files[@]}" "${#reasons[@]}"
