/**
 * The shells' side of completion.  Each passes the words after `vmlan`, the unfinished one last, and gets one candidate
 * a line, with a description behind a tab; no candidate means file names.
 *
 * Zone: control.
 */
export type Shell = 'bash' | 'zsh' | 'fish';

// bash breaks words at colons; what it has cut off already must not come back.
const BASH = `# vmlan completion for bash
_vmlan() {
  local IFS=$'\\n' line cur=\${COMP_WORDS[COMP_CWORD]} prefix=
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  if declare -F __reassemble_comp_words_by_ref >/dev/null; then
    local cword
    __reassemble_comp_words_by_ref ':=' words cword
    words=("\${words[@]:1:cword}")
    [[ \${words[\${#words[@]}-1]} == *[:=]* ]] && prefix=\${words[\${#words[@]}-1]%"\${cur#[:=]}"}
  fi
  COMPREPLY=()
  while IFS= read -r line; do
    line=\${line%%$'\\t'*}
    COMPREPLY+=("\${line#"$prefix"}")
  done < <(vmlan __complete -- "\${words[@]}" 2>/dev/null)
}
complete -o default -F _vmlan vmlan
`;

const ZSH = `#compdef vmlan
# vmlan completion for zsh
_vmlan() {
  local -a candidates
  local line
  while IFS= read -r line; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${(M)line%$'\\t'*}:+:\${line#*$'\\t'}}")
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
    set -l words (commandline -opc) (commandline -ct)
    vmlan __complete -- $words[2..-1] 2>/dev/null
end
complete -c vmlan -a '(__vmlan_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
