/**
 * The shells' side of completion.  Each passes the words after `vmlan`, the unfinished one last, and gets one candidate
 * a line, with a description behind a tab; no candidate means file names.
 *
 * Zone: control.
 */
export type Shell = 'bash' | 'zsh' | 'fish';

const BASH = `# vmlan completion for bash
_vmlan() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(vmlan __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _vmlan vmlan
`;

const ZSH = `#compdef vmlan
# vmlan completion for zsh
_vmlan() {
  local -a candidates
  local word description
  while IFS=$'\\t' read -r word description; do
    candidates+=("\${word//:/\\\\:}\${description:+:$description}")
  done < <(vmlan __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then
    _describe 'vmlan' candidates
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_vmlan" ]; then _vmlan "$@"; else compdef _vmlan vmlan; fi
`;

const FISH = `# vmlan completion for fish
function __vmlan_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates (vmlan __complete -- $words[2..-1] "$current" 2>/dev/null)
    if set -q candidates[1]
        printf '%s\\n' $candidates
    else
        __fish_complete_path "$current"
    end
end
complete -c vmlan -f -a '(__vmlan_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
