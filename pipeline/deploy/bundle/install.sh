#!/bin/sh
# Installs the bundle of which it is a part, without network and without root, or goes back to the previous version.
# PREFIX/versions/ has a folder for each version. PREFIX/current is a link, changed only after the new version's checks.
# PREFIX/.installed-by-edgecnn lists the folders that this script has made. It deletes no others, and these only
# after the new version has passed its checks.
set -eu
umask 022
unset CDPATH PYTHONPATH PYTHONHOME
export PYTHONSAFEPATH=1

usage() {
  cat <<'END'
usage: install.sh [--prefix DIR] [--key PUBKEY] [--allow-downgrade]
       install.sh [--prefix DIR] --rollback

  --prefix DIR       where to install (default: ~/edgecnn, or where this copy is installed)
  --key PUBKEY       install only what is signed by this key (PEM); kept as DIR/key.pub and asked of every later bundle,
                     until a bundle that it has signed names the next key
  --allow-downgrade  install even if the current version is newer
  --rollback         go back to the version before the current one
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
  [ "$status" -ne 0 ] || return 0
  [ -z "$unfinished" ] || rm -rf -- "$unfinished"
  [ -z "$doing" ] ||
    printf 'FAILED at: %s\n%s\n' "$doing" "Current version: $(readlink "$prefix/current" || echo none)" >&2
}

exists() {
  [ -e "$1" ] || [ -L "$1" ]
}

# Prints a field of bundle.json; the file is not verified yet, so only plain words are accepted.
card() {
  sed -n "s/^  \"$1\": \"\([A-Za-z0-9._-]*\)\",*\$/\1/p" "$here/bundle.json"
}

# Prints the bundle version; 0 if none is stated.
version() {
  number=$(sed -n 's/^  "bundle_version": \([0-9]\{1,15\}\),*$/\1/p' "$1/bundle.json" 2>/dev/null | head -n 1)
  printf '%s' "${number:-0}"
}

# Reading a pipe or a device might never end, so neither is opened. The limits are the same as in verify-bundle.
require_regular_files() {
  doing="checking every file of the bundle"
  odd=$(find "$here" ! -type f ! -type d -printf '%P' -quit | LC_ALL=C tr -c '[:print:]' '?')
  [ -z "$odd" ] || fail "$odd is a link, a pipe or a device, which no bundle has: unpack the archive again"
  bytes=$(du -sb "$here" | cut -f 1 | head -n 1)
  [ "$bytes" -le 1073741824 ] || fail "$here holds $bytes bytes, and a bundle no more than 1 GiB: unpack it again"
  ! LC_ALL=C grep -Eqv '^[0-9a-f]{64}  [A-Za-z0-9._+/-]+$' "$here/SHA256SUMS" ||
    fail "$here/SHA256SUMS is not a list of SHA-256 and names: unpack the archive again"
  doing=
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
  *)
    flags="--python ${found% *} --machine ${found#* }"
    fail "this bundle is for Python $wanted, here is $found: pack it on the PC with $flags:
  make bundle FLAGS=\"$flags\"
or for your own photos
  .venv/bin/python -m pipeline bundle artifacts/photos $flags"
    ;;
  esac
}

is_ours() {
  [ -n "$1" ] && grep -Fxqs -- "$1" "$ours"
}

# Sets own_prefix to the prefix into which this copy was installed by this script, if it was.
find_own_prefix() {
  case $here in */versions/*) ;; *) return 0 ;; esac
  ours=${here%/versions/*}/.installed-by-edgecnn
  [ "$here" != "${ours%/*}/versions/${here##*/}" ] || ! is_ours "${here##*/}" || own_prefix=${ours%/*}
}

find_prefix() {
  home=${HOME:-$(getent passwd "$(id -u)" | cut -d : -f 6)}
  [ -n "$own_prefix$home" ] || fail "HOME is not set: say where to install with --prefix DIR"
  prefix=${own_prefix:-$home/edgecnn}
}

lock() {
  why=$(mkdir -p -- "$prefix/versions" 2>&1) || fail "$why: give another --prefix, or use sudo"
  prefix=$(cd -- "$prefix" && pwd -P)
  ours=$prefix/.installed-by-edgecnn
  why=$(touch -- "$prefix/.lock" "$ours" 2>&1) || fail "$why: give another --prefix, or use sudo"
  [ -w "$prefix/versions" ] || fail "$prefix/versions cannot be written to: give another --prefix, or use sudo"
  case $prefix in *:*) fail "$prefix: Python makes no virtual environment in a folder with ':' in its path" ;; esac
  exec 9>>"$prefix/.lock"
  flock -n 9 || fail "another install into $prefix is running: wait for it"
  exists "$prefix/current" || return 0
  if [ ! -L "$prefix/current" ] || ! is_ours "$(current)" &&
    ! grep -qs '"format": "edgecnn-bundle"' "$prefix/current/bundle.json"; then
    fail "$prefix/current belongs to another program: give another --prefix"
  fi
}

require_signer() {
  if [ -n "$key" ] && [ -e "$prefix/key.pub" ]; then
    cmp -s -- "$key" "$prefix/key.pub" || fail "$prefix/key.pub is another key than $key: leave --key out, or remove the file to change keys"
  elif [ -e "$prefix/key.pub" ]; then
    key=$prefix/key.pub
  fi
}

remember_key() {
  [ -n "$key" ] && [ ! -e "$prefix/key.pub" ] || return 0
  cp -- "$key" "$prefix/.key.pub.new"
  mv -- "$prefix/.key.pub.new" "$prefix/key.pub"
}

# Only from a bundle signed with the present key, and after the switch: until then the same bundle may be tried again.
take_next_key() {
  [ -n "$signed" ] && [ -f "$new/next-key.pub" ] || return 0
  cp -- "$new/next-key.pub" "$prefix/.key.pub.new"
  mv -- "$prefix/.key.pub.new" "$prefix/key.pub"
  printf 'Later bundles have to be signed by the next key, which is now %s\n' "$prefix/key.pub"
}

# Whether the current version is this bundle and introduced the present key: its signature is by the previous key.
has_changed_keys() {
  [ "$(current)" = "${new##*/}" ] && [ -e "$prefix/key.pub" ] && cmp -s -- "$new/next-key.pub" "$prefix/key.pub"
}

# Sets new to the first folder name that is free, or under which this bundle is installed.
choose_folder() {
  name=$(card name)-$(card edgecnn)-$(sha256sum <"$here/SHA256SUMS" | cut -c 1-12)
  new=$prefix/versions/$name
  count=1
  while exists "$new" && ! is_installed; do
    count=$((count + 1))
    new=$prefix/versions/$name-$count
  done
}

is_installed() {
  is_ours "${new##*/}" && [ ! -L "$new" ] && [ -f "$new/before" ] && cmp -s "$here/SHA256SUMS" "$new/SHA256SUMS"
}

# Requires free space for the copy, the unpacked wheels and a tenth more for compiled Python files.
require_space() {
  # shellcheck disable=SC2016 # Python, not shell
  ask='import sys, zipfile; print(sum(file.file_size for path in sys.argv[1:] for file in zipfile.ZipFile(path).filelist) >> 10)'
  wheels=$here/wheels
  grep -q '"wheels": true' "$here/bundle.json" || wheels=$prefix/current/wheels
  set -- "$wheels"/*.whl
  [ -e "$1" ] || return 0
  unpacked=$("$python" -I -c "$ask" "$@" 2>/dev/null) || return 0 # a damaged wheel, which will be named
  needed=$(((unpacked + $(du -sk "$here" | cut -f 1 | head -n 1)) * 11 / 10))
  free=$(($(df --output=avail -k -- "$prefix" | tail -n 1)))
  [ "$free" -lt "$needed" ] || return 0
  left=$(unneeded | while read -r name; do printf ' %s' "$prefix/versions/$name"; done)
  fail "$prefix has $free KiB free and this version takes $needed: free some space${left:+; interrupted installs left$left}"
}

# The first check needs only sha256sum. The second one, by the project's own wheel, also finds added files and links,
# and checks the signature.
check_bundle() {
  step "checking every file of the bundle"
  (cd -- "$1" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
    fail "a file is not as it was built: copy the bundle again"
  set -- "$1" "$1"/wheels/edgecnn-*.whl
  [ $# -eq 2 ] || fail "expected one wheel of edgecnn in $1/wheels"
  "$python" -I -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); from runtime.cli import entry; entry()' \
    "$2" verify-bundle "$1" ${key:+--key "$key"} >&2 || fail "the bundle is refused"
  [ -n "$key" ] || return 0
  signed=yes
  [ ! -e "$1/next-key.pub" ] || openssl ec -pubin -in "$1/next-key.pub" -noout -text 2>/dev/null | grep -q prime256v1 ||
    fail "$1/next-key.pub is no public key of the curve P-256: build the bundle anew"
}

# Called after the bundle was verified. If no key is required, a bundle need not state a version.
require_newer() {
  if [ -n "$downgrade" ] || [ "$(version "$1")" -ge "$(version "$prefix/current")" ]; then return 0; fi
  [ -n "$key" ] || [ "$(version "$1")" -ne 0 ] || return 0
  fail "bundle version $(version "$1") is older than $(version "$prefix/current"), which is installed:" \
    "build a newer one, or install this one with --allow-downgrade"
}

# The folder is listed before it is made, so that the rest of an interrupted install is known to be ours.
copy_bundle() {
  step "copying the bundle"
  printf '\n%s\n' "${new##*/}" >>"$ours"
  mkdir -- "$new"
  unfinished=$new
  cp -RP -- "$here/." "$new"
}

make_environment() {
  step "making a virtual environment"
  "$python" -I -m venv --without-pip "$new"
}

# Wheels of the previous version are used, too: pip checks each against the hash in requirements.txt.
install_packages() {
  step "installing the packages"
  for wheel in "$prefix"/current/wheels/*.whl; do
    [ ! -e "$wheel" ] || [ -e "$new/wheels/${wheel##*/}" ] || ln -- "$wheel" "$new/wheels/"
  done
  if grep -q '"wheels": true' "$new/bundle.json"; then
    pip_install --isolated --no-index
  elif ! pip_install --isolated --no-index 2>/dev/null; then
    step "fetching packages that are not here"
    pip_install
  fi
  write_launcher
}

# Not compiled: replaying the models compiles the imported modules; compiling the rest would double the install's time.
pip_install() {
  set -- install --quiet --no-compile --disable-pip-version-check --require-hashes --only-binary=:all: \
    --find-links "$new/wheels" --requirement "$new/requirements.txt" "$@"
  pip=$(find "$new/wheels" -name "pip-*.whl")
  if [ -n "$pip" ]; then
    "$new/bin/python" -I "$pip/pip" "$@"
  else
    "$python" -I -m pip --python "$new/bin/python" "$@"
  fi
}

# Replaces pip's launcher, which is not isolated, has the whole path in its first line, where blanks and $ do not work,
# and would import modules of the next version if "current" changes while it runs. Read by sh first, then by Python.
write_launcher() {
  cat >"$new/bin/edgecnn" <<'END'
#!/bin/sh
""":"
self=$(readlink -f -- "$0")
exec "${self%/*}/python" -I "$self" "$@"
":"""
import runtime.__main__
END
  chmod 755 "$new/bin/edgecnn"
}

check_models() {
  step "replaying the images that the models carry"
  models=$("$python" -I -c 'import json, sys; print(*json.load(sys.stdin)["artifacts"])' <"$new/bundle.json")
  # shellcheck disable=SC2086 # names without spaces
  (cd -- "$new/models" && "$new/bin/edgecnn" verify $models) ||
    fail "a model does not work here${damaged:+: if its files are damaged, delete $damaged and install again}"
}

# Runs each model on the bundle's labeled photos, if there are any: as many must be right as where it was built.
check_acceptance() {
  # shellcheck disable=SC2016 # Python, not shell
  ask='import json, sys; print(*map("%s %d".__mod__, json.load(sys.stdin).get("acceptance", {}).get("right", {}).items()), sep="\n")'
  wanted=$("$python" -I -c "$ask" <"$new/bundle.json")
  [ -n "$wanted" ] || return 0
  step "naming the photos of known labels"
  printf '%s\n' "$wanted" | while read -r model least; do
    [ "$least" -gt 0 ] || continue
    (cd -- "$new/models" && "$new/bin/edgecnn" verify "$model" --photos ../acceptance --at-least "$least" </dev/null) || exit 1
  done || fail "fewer photos are classified correctly here than where the bundle was built: the previous version stays"
}

switch() {
  step "switching to ${new##*/}"
  sync
  ln -sfn -- "versions/${new##*/}" "$prefix/.current.new"
  mv -T -- "$prefix/.current.new" "$prefix/current"
}

current() {
  basename -- "$(readlink "$prefix/current" || true)"
}

version_before() {
  before=$(cat "$prefix/current/before" 2>/dev/null || true)
  case $before in */* | . | ..) ;; *) printf '%s' "$before" ;; esac
}

# Lists the folders made by this script, except the current version, the previous one, and the one that it runs from.
unneeded() {
  now=$(current) before=$(version_before)
  sort -u "$ours" | while read -r name; do
    case $name in
    "" | . | .. | */* | "$now" | "$before" | "${here##*/}") ;;
    *) [ ! -d "$prefix/versions/$name" ] || [ -L "$prefix/versions/$name" ] || printf '%s\n' "$name" ;;
    esac
  done
}

clean() {
  unneeded | while read -r name; do
    rm -rf -- "$prefix/versions/$name" || printf 'not deleted: %s\n' "$prefix/versions/$name" >&2
  done
}

install_bundle() {
  if [ ! -f "$here/bundle.json" ] || [ ! -f "$here/SHA256SUMS" ]; then fail "$here holds no bundle"; fi
  [ -n "$own_prefix" ] || require_regular_files
  find_python
  lock
  require_signer
  choose_folder
  if ! exists "$new"; then
    require_space
    copy_bundle
    check_bundle "$new"
    require_newer "$new"
    make_environment
    install_packages
  else
    [ "$new" = "$here" ] || has_changed_keys || check_bundle "$here"
    require_newer "$new"
    damaged=$new
  fi
  check_models
  check_acceptance
  remember_key
  if [ "$(current)" = "${new##*/}" ]; then
    printf '%s was installed already\n' "${new##*/}"
  else
    sync
    current >"$new/before"
    unfinished=
    switch
  fi
  take_next_key
  clean
  case " $models " in
  *" model_int8.onnx "*) model=model_int8.onnx ;;
  *) model=${models%% *} ;;
  esac
  printf 'Try: %s\n' "$prefix/current/bin/edgecnn classify $prefix/current/models/$model photo.jpg"
}

roll_back() {
  lock
  before=$(version_before)
  new=$prefix/versions/$before
  if [ -z "$before" ] || [ ! -d "$new" ]; then
    fail "$prefix keeps no version before the current one; to go forward, run the newer bundle's install.sh"
  fi
  python=$new/bin/python
  check_models
  switch
}

here=$(cd -- "$(dirname -- "$0")" && pwd -P)
prefix='' own_prefix='' key='' signed='' downgrade='' action=install_bundle doing='' unfinished='' damaged=''
while [ $# -gt 0 ]; do
  case $1 in
  --prefix | --key)
    [ -n "${2-}" ] || fail "$1 needs a value"
    [ "$1" = --key ] && key=$2 || prefix=$2
    shift
    ;;
  --allow-downgrade) downgrade=yes ;;
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
find_own_prefix
[ -n "$prefix" ] || find_prefix
trap say_how_it_ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
$action
