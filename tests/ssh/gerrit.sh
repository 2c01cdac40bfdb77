#!/bin/sh
# What Gerrit's SSH commands answer, as far as its documentation tells: gerrit.sh FOLDER VERSION, with the command in SSH_ORIGINAL_COMMAND.
# Each command is kept in FOLDER/commands, its standard input beside it. Files in FOLDER change what happens, each once:
# hang (until it is gone), code (exit so), signal (end so), deaf (no input is read), loud (much output before any input is read).
folder=$1 version=$2
kept=$(mktemp "$folder/commands/$(date +%s%N).XXXXXX")
printf '%s' "$SSH_ORIGINAL_COMMAND" >"$kept"

once() { [ -e "$folder/$1" ] && said=$(cat "$folder/$1") && rm -f "$folder/$1"; }
fatal() { echo "fatal: $*" >&2; exit 1; }

while [ -e "$folder/hang" ]; do sleep 0.1; done
if once deaf; then exit 0; fi
if once loud; then head -c 3000000 /dev/zero | tr '\0' 'x'; fi
cat >"$kept.stdin"
if once signal; then kill "-$said" $$; fi
if once code; then echo "half of it"; echo "error: it was asked to fail" >&2; exit "$said"; fi

# As a shell would read it: what is not quoted well is run here.
eval "set -- $SSH_ORIGINAL_COMMAND"
[ "$1" = gerrit ] || fatal "$1: not found"
case $2 in
  version) echo "gerrit version $version"; exit ;;
  review) shift 2 ;;
  *) fatal "gerrit: $2: not found" ;;
esac

minor=${version#*.} minor=${minor%%.*}
since() { [ "${version%%.*}" -gt "$1" ] || { [ "${version%%.*}" -eq "$1" ] && [ "$minor" -ge "$2" ]; }; }
score() { case $1 in -2 | -1 | 0 | 1 | 2) ;; *) fatal "\"$1\" is not a valid score" ;; esac; }
# Options and their values may be one word: --message=text. A value that is a word of its own is read like that as well.
left=$#
while [ "$left" -gt 0 ]; do
  word=$1 left=$((left - 1))
  shift
  case $word in --*=*) set -- "$@" "${word%%=*}" "${word#*=}" ;; *) set -- "$@" "$word" ;; esac
done
project='' revision=''
while [ $# -gt 0 ]; do
  case $1 in
    --project) project=$2 ;;
    --message)
      [ "$(printf '%s' "$2" | wc -c)" -le 16384 ] || fatal "one or more reviews failed: Comment size exceeds limit"
      [ -n "$2" ] || fatal "no message" ;;
    --notify) case $2 in NONE | OWNER | OWNER_REVIEWERS | ALL) ;; *) fatal "\"$2\" is not a valid value for \"--notify\"" ;; esac ;;
    --tag) since 2 13 || fatal "\"--tag\" is not a valid option" ;;
    --verified | --code-review) score "$2" ;;
    --label)
      since 2 6 || fatal "\"--label\" is not a valid option"
      case $2 in Verified=* | Code-Review=*) score "${2#*=}" ;; *) fatal "label \"${2%%=*}\" is not a configured label" ;; esac ;;
    --*) fatal "\"$1\" is not a valid option" ;;
    *) revision=$1; set -- "" "$@" ;;
  esac
  shift 2
done
[ -n "$project" ] && [ -n "$revision" ] || fatal "argument \"{COMMIT | CHANGE,PATCHSET}\" is required"
case $revision in *[!0-9a-f]*) fatal "\"$revision\" is not a valid patch set" ;; esac
