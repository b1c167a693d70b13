# fish completion for apt-ostree.
#
# The program itself says what may come next (`apt-ostree __complete`): first a line that tells
# which paths to add, then a line for each word, its description after a tab.

function __apt_ostree_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    command -q $program; or set program apt-ostree
    set -l found ($program __complete -- $words "$current" 2>/dev/null)
    set -l endings (string split ' ' -- $found[1])
    set -l wanted $endings[1]
    set -e endings[1]
    set -e found[1]
    printf '%s\n' $found

    # Paths after --OPTION= are paths of what follows, with the option put back.
    set -l option (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    switch "$wanted"
        case directories
            for path in (__fish_complete_directories $value '')
                echo "$option$path"
            end
        case files
            for line in (complete -C "'' $value")
                set -l path (string split \t -- $line)[1]
                if string match -q -- '*/' $path; or test (count $endings) -eq 0
                    echo "$option$path"
                else
                    for ending in $endings
                        string match -q -- "*$ending" $path; and echo "$option$path"
                    end
                end
            end
    end
end

complete -c apt-ostree -f -a '(__apt_ostree_complete)'
