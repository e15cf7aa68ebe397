# Sourced by the scripts beside it: makes the project's virtual environment and keeps it up to date.
# Usage: source setup.sh; prepare EXTRA   (then $venv/bin/python has the project with that extra)

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
venv="$project/.venv"

fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf 'hint: %s\n' "$line" >&2; done
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer was found (tried python3.11 to python3.14, python3 and python)" \
        "install one, or say where it is: PYTHON=/path/to/python3.11 $0"
}

make_venv() {
    local python
    if [[ -x "$venv/bin/python" ]]; then
        is_new_enough "$venv/bin/python" || fail "$venv holds a Python older than 3.11, or a broken one" \
            "remove the folder and run this again"
        return
    fi
    python="$(find_python)"
    echo "making $venv with $("$python" --version)" >&2
    "$python" -m venv "$venv" || fail "'$python -m venv' failed" \
        "on Debian and Ubuntu: apt install python3-venv"
}

# The stamp names everything that the installation depends on; installing for `dev` serves `demo` too.
checksum_of_inputs() {
    local files=("$project/pyproject.toml")
    [[ -f "$project/constraints.txt" ]] && files+=("$project/constraints.txt")
    { echo "$1" "$project"; "$venv/bin/python" --version; cat "${files[@]}"; } | cksum
}

prepare() {
    local extra="$1" stamp="$venv/.stratalog-$1.stamp" sum constraints=()
    make_venv
    sum="$(checksum_of_inputs "$extra")"
    if [[ -f "$stamp" && "$(<"$stamp")" == "$sum" ]]; then
        return
    fi
    [[ -f "$project/constraints.txt" ]] && constraints=(-c "$project/constraints.txt")
    echo "installing stratalog[$extra] into $venv (the first time takes a minute or two)" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${constraints[@]+"${constraints[@]}"}" --editable "$project[$extra]" || fail "pip could not install the project" \
        "see its message above; a proxy or mirror can be set with PIP_INDEX_URL"
    printf '%s\n' "$sum" >"$stamp"
}
