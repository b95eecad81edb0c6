#!/bin/sh
# Prints teams=["art","music"]: the stacks that Pulumi provisions, one for each file of stacks/ that is not for one machine.
set -eu
cd "$(dirname "$0")/../.."
list=
for file in stacks/Pulumi.*.yaml; do
    [ -f "$file" ] || continue
    grep -Eq '^[^#]*runs_on: *["'\'']?local\b' "$file" && continue
    team=${file#stacks/Pulumi.}
    team=${team%.yaml}
    case $team in *[!a-z0-9-]*) echo "$file: its name is no team's" >&2; exit 1 ;; esac
    list="$list${list:+,}\"$team\""
done
echo "teams=[$list]"
