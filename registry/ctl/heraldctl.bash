# bash completion for heraldctl. Source it, or put it into /usr/share/bash-completion/completions/heraldctl.
_heraldctl()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command="" i
    local commands="instances user users stats topics watch token audit dlq health help"
    local for_all="--registry --timeout --json --help --version"
    local with_value=" --registry --timeout --state --ids --user --device --ttl --secret --interval --count --limit --filter "

    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ $with_value == *" ${COMP_WORDS[i]} "* ]]; then
            ((i++))
        elif [[ ${COMP_WORDS[i]} != -* ]]; then
            command=${COMP_WORDS[i]}
            break
        fi
    done

    COMPREPLY=()
    case $before in
        --state) COMPREPLY=($(compgen -W "live draining left dead" -- "$word")); return ;;
        --ttl) COMPREPLY=($(compgen -W "15m 1h 12h 7d" -- "$word")); return ;;
        --interval | --timeout) COMPREPLY=($(compgen -W "500ms 1s 5s 30s" -- "$word")); return ;;
        --registry) COMPREPLY=($(compgen -W "http://127.0.0.1:9280" -- "$word")); return ;;
        --filter) COMPREPLY=($(compgen -W "reason= key= source= offset=" -- "$word")); compopt -o nospace; return ;;
        dlq) COMPREPLY=($(compgen -W "list show replay" -- "$word")); return ;;
        --ids | --user | --device | --secret | --count | --limit) return ;;
    esac
    if [[ $word == -* ]]; then
        local own=""
        case $command in
            instances) own="--state" ;;
            users) own="--ids" ;;
            watch) own="--interval --count" ;;
            dlq) own="--filter --limit --dry-run" ;;
            token) own="--user --device --ttl --secret" ;;
        esac
        COMPREPLY=($(compgen -W "$own $for_all" -- "$word"))
    elif [[ $command == health ]]; then
        COMPREPLY=($(compgen -W "http://127.0.0.1:9080/readyz http://127.0.0.1:9180/readyz http://127.0.0.1:9280/readyz" -- "$word"))
    elif [[ -z $command || $command == help ]]; then
        COMPREPLY=($(compgen -W "$commands" -- "$word"))
    fi
}
complete -F _heraldctl heraldctl
