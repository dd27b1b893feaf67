/**
 * The shells' side of completion.  Each passes the words after `vmlan`, the unfinished one last, and gets one candidate
 * a line, with a description behind a tab.  A line `@files` stands for names of files; a candidate that ends with a
 * colon or an equals sign goes on, so no space follows it.
 *
 * Zone: control.
 */
export type Shell = 'bash' | 'zsh' | 'fish';

/** What a shell replaces by names of files; no candidate begins with it. */
export const FILES_CANDIDATE = '@files';

const BASH = `# vmlan completion for bash
_vmlan() {
  local line candidate words=() count=0 rest=\${COMP_LINE:0:COMP_POINT}
  rest=\${rest#*"\${COMP_WORDS[0]}"}
  # bash also splits at = and :, and what stands together is one word
  while [[ $rest == [[:space:]]* ]]; do
    rest=\${rest#"\${rest%%[![:space:]]*}"}
    words[count++]=
    while [[ $rest == [![:space:]]* ]]; do
      local i=$((count - 1)) piece=\${rest%%[[:space:]]*}
      case $piece in
        *[\\\\\\'\\"]*) # quoted: as the shell has cut it
          words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
          rest=
          ;;
        *)
          words[i]=$piece
          rest=\${rest#"$piece"}
          ;;
      esac
    done
  done
  local current=\${words[\${#words[@]} - 1]-}
  local whole=\${current%"\${current##*[=:]}"} # bash replaces what follows the last = or : alone
  COMPREPLY=()
  while IFS= read -r line; do
    candidate=\${line%%$'\\t'*}
    case $candidate in
      @files)
        compopt -o filenames 2>/dev/null
        while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "\${current##*[=:]}")
        ;;
      *)
        case $candidate in *[=:]) compopt -o nospace 2>/dev/null ;; esac
        COMPREPLY+=("\${candidate#"$whole"}")
        ;;
    esac
  done < <(vmlan __complete -- "\${words[@]}" 2>/dev/null)
}
complete -F _vmlan vmlan
`;

const ZSH = `#compdef vmlan
# vmlan completion for zsh
_vmlan() {
  local -a ended open
  local word description files=0
  while IFS=$'\\t' read -r word description; do
    case $word in
      @files) files=1 ;;
      *[=:]) open+=("\${word//:/\\\\:}\${description:+:$description}") ;;
      *) ended+=("\${word//:/\\\\:}\${description:+:$description}") ;;
    esac
  done < <(vmlan __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#ended} )) && _describe -V 'vmlan' ended
  (( \${#open} )) && _describe -V 'vmlan' open -S ''
  (( files )) && { compset -P '*='; _files; }
}
if [ "$funcstack[1]" = "_vmlan" ]; then _vmlan "$@"; else compdef _vmlan vmlan; fi
`;

const FISH = `# vmlan completion for fish
function __vmlan_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -e words[1]
    for candidate in (vmlan __complete -- $words "$current" 2>/dev/null)
        if test "$candidate" = @files
            set -l prefix (string match -r -- '^--[^=]+=' "$current")
            for file in (__fish_complete_path (string replace -r -- '^--[^=]+=' '' "$current"))
                echo "$prefix$file"
            end
        else
            echo $candidate
        end
    end
end
complete -c vmlan -f -a '(__vmlan_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
