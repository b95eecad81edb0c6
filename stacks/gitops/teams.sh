#!/bin/sh
# The stacks that Pulumi provisions, one for each file of stacks/ that is not for one machine, as GitHub's outputs:
#   teams=["art","company","film"]
#   groups=[{"first":"company","then":"[\"art\"]"},{"first":"film","then":"[]"}]
# A group is a platform, and the teams that share its cluster as a list within a text, which is what inputs of workflows are.
# `teams.sh down` prints their names in the order of `pulumi destroy`: teams before the platform that they are on.
set -eu
cd "$(dirname "$0")/../.."
project=$(sed -n 's/^name: *//p' Pulumi.yaml 2>/dev/null || true)

platform_of() { # the stack whose cluster this one shares; nothing of one with its own
    sed -nE 's/^[^#]*[{, ]platform: *["'\'']?([A-Za-z0-9._/-]+).*/\1/p' "stacks/Pulumi.$1.yaml" |
        sed -E "s|^[^/]+/$project/([^/]+)\$|\\1|" | grep -vx own | head -n 1 || true
}
among() { case " $teams " in *" $1 "*) return 0 ;; *) return 1 ;; esac }
json() { # json WORD…: a list
    list=
    for word; do list="$list${list:+,}\"$word\""; done
    echo "[$list]"
}

teams=
for file in stacks/Pulumi.*.yaml; do
    [ -f "$file" ] || continue
    grep -Eq '^[^#]*runs_on: *["'\'']?local\b' "$file" && continue
    team=${file#stacks/Pulumi.}
    team=${team%.yaml}
    case $team in *[!a-z0-9-]*) echo "$file: its name is no team's" >&2; exit 1 ;; esac
    teams="$teams${teams:+ }$team"
done

firsts='' pairs=''
for team in $teams; do
    on=$(platform_of "$team")
    # One that is on no platform, on another repository's, or on one that is none: Pulumi says so then.
    if [ -n "$on" ] && [ "$on" != "$team" ] && among "$on" && [ -z "$(platform_of "$on")" ]; then
        pairs="$pairs $on:$team"
    else
        firsts="$firsts $team"
    fi
done

groups='' down=''
for first in $firsts; do
    then=
    for pair in $pairs; do
        case $pair in "$first":*) then="$then ${pair#*:}" ;; esac
    done
    # shellcheck disable=SC2086 # names without spaces, each a word
    groups="$groups${groups:+,}{\"first\":\"$first\",\"then\":\"$(json $then | sed 's/"/\\"/g')\"}"
    down="$down$then $first"
done
if [ "${1:-}" = down ]; then
    for team in $down; do echo "$team"; done
    exit
fi
# shellcheck disable=SC2086 # the same
echo "teams=$(json $teams)"
echo "groups=[$groups]"
