# Completion of darkroom's command line, for bash. It asks the program itself,
# whose --help says all there is, so it fits every version.
# shellcheck shell=bash

# Words of the usage lines: `darkroom jobs list` or `darkroom jobs list|show`.
_darkroom_words() {
    awk -v command="$2" '
        /^usage: / { sub(/^usage:/, "      ") }
        /^       darkroom / && $2 == command && $3 ~ /^[a-z][a-z|-]*$/ {
            gsub(/[|]/, "\n", $3)
            print $3
        }' <<<"$1"
}

# Options: of the usage lines, and of the list; not of what the text mentions.
_darkroom_options() {
    {
        sed -n '1,/^$/p; /^  -/p' <<<"$1"
        echo --help
    } | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

_darkroom() {
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} program=${COMP_WORDS[0]} help words

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" --help 2>/dev/null |
            sed -n 's/^  \([a-z]*\) .*/\1/p')
        words+=" --help --version"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        return
    fi
    case $previous in
    --mode) mapfile -t COMPREPLY < <(compgen -W "fit max" -- "$current") ;;
    --state)
        words="ready leased done dead"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        ;;
    --outcome)
        words="replied pushed failure_text withdrawn dead skipped removed"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        ;;
    --jobs) COMPREPLY=("$(nproc)") ;;
    --config | --preview)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        ;;
    *)
        help=$("$program" "$command" --help 2>/dev/null </dev/null)
        if [[ $current == -* ]]; then
            words=$(_darkroom_options "$help")
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        elif [ "$command" = convert ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        elif [ "$COMP_CWORD" -eq 2 ]; then
            words=$(_darkroom_words "$help" "$command")
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
        fi
        ;;
    esac
}

complete -F _darkroom darkroom
