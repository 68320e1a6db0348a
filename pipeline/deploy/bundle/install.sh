#!/bin/sh
# Installs the bundle that it lies in, without network and without root, or goes back to the version before.
# PREFIX/versions/ holds a folder a version; PREFIX/current, a link, changes only once the new one has proven itself.
set -eu
umask 022
unset PYTHONPATH PYTHONHOME

usage() {
  cat <<'END'
usage: install.sh [--prefix DIR] [--key PUBKEY]
       install.sh [--prefix DIR] --rollback

  --prefix DIR   where to install (default: ~/edgecnn, or where this copy is installed)
  --key PUBKEY   install only what is signed by this key (PEM); kept as DIR/key.pub and asked of every later bundle
  --rollback     go back to the version before the current one
END
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

step() {
  doing=$1
  printf '%s ...\n' "$1"
}

say_how_it_ended() {
  status=$?
  [ "$status" -ne 0 ] && [ -n "$doing" ] || return 0
  printf 'FAILED at: %s\n%s\n' "$doing" "Current version: $(readlink "$prefix/current" || echo none)" >&2
  [ "$action" != install_bundle ] || clean
}

# Prints a field of bundle.json; the file is not verified yet, so nothing but plain words is let through.
card() {
  sed -n "s/^  \"$1\": \"\([A-Za-z0-9._-]*\)\",*\$/\1/p" "$here/bundle.json"
}

find_python() {
  wanted="$(card python) $(card machine)"
  # shellcheck disable=SC2016 # Python, not shell
  ask='import platform, sys; print("%d.%d" % sys.version_info[:2], platform.machine() if sys.maxsize > 2**32 else "32-bit")'
  found=
  for python in "python$(card python)" python3; do
    command -v "$python" >/dev/null || continue
    found=$("$python" -I -c "$ask" 2>/dev/null) || continue # a stand-in of a Python manager
    [ "$found" != "$wanted" ] || return 0
  done
  case $found in
  "") fail "no python3 here: sudo apt install python3" ;;
  *32-bit) fail "this system is 32-bit, for which onnxruntime has no wheels: use the 64-bit Raspberry Pi OS" ;;
  *) fail "this bundle is for Python $wanted, here is $found: build it with --python and --machine for this one" ;;
  esac
}

lock() {
  mkdir -p "$prefix/versions"
  prefix=$(cd "$prefix" && pwd -P)
  exec 9>"$prefix/.lock"
  flock -n 9 || fail "another install into $prefix is running: wait for it"
}

require_signer() {
  if [ -n "$key" ] && [ -e "$prefix/key.pub" ]; then
    cmp -s "$key" "$prefix/key.pub" || fail "$prefix/key.pub is another key than $key: remove it first to change keys"
  elif [ -e "$prefix/key.pub" ]; then
    key=$prefix/key.pub
  fi
}

remember_key() {
  [ -n "$key" ] && [ ! -e "$prefix/key.pub" ] || return 0
  cp "$key" "$prefix/.key.pub"
  mv "$prefix/.key.pub" "$prefix/key.pub"
}

# The first look takes nothing but sha256sum; the second one, of the project's own wheel, also sees added files,
# links and the signature.
check_bundle() {
  step "checking every file of the bundle"
  (cd "$1" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
    fail "a file is not as it was built: copy the bundle again"
  set -- "$1" "$1"/wheels/edgecnn-*.whl
  [ $# -eq 2 ] || fail "expected one wheel of edgecnn in $1/wheels"
  "$python" -I -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); from runtime.cli import entry; entry()' \
    "$2" verify-bundle "$1" ${key:+--key "$key"} >&2 || fail "the bundle is refused"
}

copy_bundle() {
  step "copying the bundle"
  mkdir "$new"
  cp -RP "$here/." "$new"
}

make_environment() {
  step "making a virtual environment"
  "$python" -m venv --without-pip "$new"
}

# Wheels of the version before serve too: each is held against the hash in requirements.txt.
install_packages() {
  step "installing the packages"
  for wheel in "$prefix"/current/wheels/*.whl; do
    [ ! -e "$wheel" ] || [ -e "$new/wheels/${wheel##*/}" ] || ln "$wheel" "$new/wheels/"
  done
  if grep -q '"wheels": true' "$new/bundle.json"; then
    pip_install --isolated --no-index
  elif ! pip_install --isolated --no-index 2>/dev/null; then
    step "fetching packages that are not here"
    pip_install
  fi
}

# Not compiled: replaying the models compiles what is imported, and the rest would take as long as all else together.
pip_install() {
  set -- install --quiet --no-compile --disable-pip-version-check --require-hashes --only-binary=:all: \
    --find-links "$new/wheels" --requirement "$new/requirements.txt" "$@"
  pip=$(find "$new/wheels" -name "pip-*.whl")
  if [ -n "$pip" ]; then
    "$new/bin/python" "$pip/pip" "$@"
  else
    "$python" -m pip --python "$new/bin/python" "$@"
  fi
}

check_models() {
  step "replaying the images that the models carry"
  models=$("$python" -I -c 'import json, sys; print(*json.load(sys.stdin)["artifacts"])' <"$new/bundle.json")
  # shellcheck disable=SC2086 # names without spaces
  (cd "$new/models" && "$new/bin/python" -I -m runtime verify $models) || fail "a model does not work here"
}

switch() {
  step "switching to ${new##*/}"
  sync
  ln -sfn "versions/${new##*/}" "$prefix/.current"
  mv -T "$prefix/.current" "$prefix/current"
}

current() {
  basename "$(readlink "$prefix/current" || true)"
}

# All but the current version and the one before it go, and so does what a killed install left.
clean() {
  before=$(cat "$prefix/current/before" 2>/dev/null || true)
  for folder in "$prefix"/versions/*; do
    case $folder in
    "$here" | "$prefix/versions/$(current)" | "$prefix/versions/$before") ;;
    *) rm -rf "$folder" ;;
    esac
  done
}

install_bundle() {
  [ -e "$here/bundle.json" ] || fail "$here holds no bundle"
  find_python
  lock
  require_signer
  clean
  new=$prefix/versions/$(card name)-$(card edgecnn)-$(sha256sum <"$here/SHA256SUMS" | cut -c 1-12)
  if [ ! -e "$new" ]; then
    copy_bundle
    check_bundle "$new"
    make_environment
    install_packages
  elif [ "$new" != "$here" ]; then
    check_bundle "$here"
  fi
  check_models
  remember_key
  if [ "$(current)" = "${new##*/}" ]; then
    printf '%s was installed already\n' "${new##*/}"
  else
    current >"$new/before"
    switch
    clean
  fi
  case " $models " in
  *" model_int8.onnx "*) model=model_int8.onnx ;;
  *) model=${models%% *} ;;
  esac
  printf 'Try: %s\n' "$prefix/current/bin/edgecnn classify $prefix/current/models/$model photo.jpg"
}

roll_back() {
  lock
  before=$(cat "$prefix/current/before" 2>/dev/null || true)
  new=$prefix/versions/$before
  if [ -z "$before" ] || [ ! -d "$new" ]; then
    fail "$prefix keeps no version before the current one; to go forward, run the newer bundle's install.sh"
  fi
  python=$new/bin/python
  check_models
  switch
}

here=$(cd "$(dirname "$0")" && pwd -P)
prefix=$HOME/edgecnn key='' action=install_bundle doing=''
case $here in */versions/*) prefix=${here%/versions/*} ;; esac
while [ $# -gt 0 ]; do
  case $1 in
  --prefix | --key)
    [ $# -gt 1 ] || fail "$1 needs a value"
    [ "$1" = --key ] && key=$2 || prefix=$2
    shift
    ;;
  --rollback) action=roll_back ;;
  --help | -h)
    usage
    exit
    ;;
  *)
    usage >&2
    fail "unknown argument: $1"
    ;;
  esac
  shift
done
trap say_how_it_ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
$action
