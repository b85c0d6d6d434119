#!/usr/bin/env bash
#
# Completion in bash: what is offered at which word.

. "$(dirname "$0")/../lib/smoke.sh"
set -u

smoke_init
PATH=$BUILD:$PATH
cd "$stack_dir" || exit 1
mkdir pictures
touch 'a photo.jpg' a.conf
# shellcheck source=scripts/completion.bash
. "$smoke_top/scripts/completion.bash"

# offered WORD...: what is offered for the last one.
offered() {
    COMP_WORDS=(darkroom "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _darkroom
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' '
}

commands=$(darkroom --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
ok "the program has commands" [ "$(wc -w <<<"$commands")" -ge 4 ]
is "all of them are offered" "$(offered '')" \
    "$(printf '%s\n' --help --version "$commands" |
        LC_ALL=C sort | paste -sd ' ')"
is "those that begin so" "$(offered conv)" convert
is "the options of one" "$(offered convert --p)" --preview
is "of another" "$(offered check --)" \
    "--config --help --json --list-settings --offline --settings"
is "every one has --help" "$(offered version --)" --help
is "values" "$(offered convert --mode m)" max
# By the help, too: it lists them over two lines.
is "outcomes, all there are" "$(offered jobs list --outcome '')" \
    "$(darkroom jobs --help | sed -n '/^  --outcome O/,/^  --channel/p' |
        sed '$d; s/--outcome O//' | tr -d ' \n' | tr , '\n' |
        LC_ALL=C sort | paste -sd ' ')"
is "files" "$(offered check --config a)" "a photo.jpg a.conf"
is "pictures and directories" "$(offered convert p)" pictures
is "nothing where nothing is due" "$(offered check '')" ""
is "nothing of what is not known" "$(offered nonsense --)" --help

# A program with words of the second order, as its usage has them.
cat >words <<'EOF'
#!/bin/sh
cat <<'HELP'
usage: darkroom jobs list|show [--json]
       darkroom jobs retry ID
HELP
EOF
chmod +x words
COMP_WORDS=(./words jobs '')
COMP_CWORD=2
_darkroom
is "words of a command" "${COMPREPLY[*]}" "list show retry"

# As bash itself does it, with the loader that Debian has.
loader=/usr/share/bash-completion/bash_completion
XDG_DATA_DIRS=$stack_dir/share
export XDG_DATA_DIRS
mkdir -p share/bash-completion/completions
cp "$smoke_top/scripts/completion.bash" \
    share/bash-completion/completions/darkroom
is "bash finds it by the program's name" "$(bash --norc -c \
    ". $loader; _completion_loader darkroom; complete -p darkroom")" \
    "complete -F _darkroom darkroom"

done_testing
