# For a bash on a terminal: after this, completing writes what it would offer to descriptor $1, a line
# for each word and then one with a dot.
source "$2"
out=$1
probe() {
    _apt_ostree "$@"
    ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}" >&"$out"
    echo . >&"$out"
}
complete -F probe apt-ostree
bind 'set completion-query-items 0' 'set page-completions off' 'set enable-bracketed-paste off'
bind 'set page-completions off'
echo . >&"$out"
