# What zsh would offer for a command line: capture.zsh DIRECTORY LINE
#
# A second zsh completes on a terminal of its own, as it would for a person; in it `compadd` writes
# down the matches.
zmodload zsh/zpty
setup=$(mktemp)
trap 'rm -f $setup' EXIT
cat >$setup <<'SETUP'
PROMPT=
fpath=($1 $fpath)
autoload -Uz compinit
compinit -D -u
zstyle ':completion:*' insert-tab false
mark() { print -r -- $'\1' }
compprefuncs=(mark)
comppostfuncs=(mark exit)
compadd() {
    # With these it only fills arrays, or throws matches away.
    if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then
        builtin compadd "$@"
        return
    fi
    local -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) || return 1
    local hit
    for hit in $hits; do print -r -- "=$IPREFIX$hit"; done
}
bindkey '^I' complete-word
print -r -- $'\2'
SETUP
zpty completing zsh -f -i
zpty -w completing "set -- ${(q)1}; source $setup"
zpty -r completing ignored $'*\2'
zpty -n -w completing "$2"$'\t'
zpty -r completing ignored $'*\1'
zpty -r completing found $'*\1'
print -r -- "$found" | tr -d '\r' | sed -n 's/^=//p'
zpty -d completing
