#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything a person does with this repository, from a bare Debian 12 on: ./do help
set -euo pipefail
invoked_from=$PWD
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

# Debian's own tools first: the packages below are what the code is built and tested with, whatever else (pyenv, a pip
# installed meson) lies before them on PATH.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$PATH"
PYTHON=/usr/bin/python3

# ---- packages: the one declared list -----------------------------------------------------------------------------------------
#      group    package            reason
PACKAGES='
       build    build-essential    the C compiler and libc
       build    meson              the build
       build    ninja-build        the build
       build    pkg-config         finds the libraries
       build    python3            meson runs on it; so do the demo and the tests
       build    libuv1-dev         event loop of the daemon
       build    libzmq3-dev        transport
       build    libmsgpack-dev     encoding of the messages
       build    libgsl-dev         least squares, special functions, quantiles
       build    libsqlite3-dev     the state: one file
       build    libsodium-dev      keyed hash of the table of children, keys
       build    libinih-dev        configuration file
       build    libjansson-dev     JSON in
       build    zlib1g-dev         files of events may be compressed
       build    libncurses-dev     burgeon top
       build    libcairo2-dev      figures and plots, as SVG and PNG
       build    libcmocka-dev      unit tests, built with everything else
       test     clang              second compiler, thread sanitizer, fuzzer
       test     libclang-rt-14-dev run-time of its sanitizers
       test     llvm               names instead of addresses in their reports
       test     python3-pytest     system tests
       test     python3-zmq        .. which talk to the daemon like any client
       test     python3-msgpack    ..
       test     python3-numpy      statistics of the simulations
       test     python3-scipy      ..
       test     sqlite3            the state must be readable by people
       test     tmux               a terminal for the tests of the screen
       test     valgrind           reads of uninitialised memory
       lint     clang-format       ./do format
       lint     clang-tidy         ./do lint
       lint     cppcheck           ./do lint
       lint     shellcheck         ./do lint
'

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() { printf 'do: %s\n' "$*" >&2; exit 1; }

packages_of() { # GROUP.. -> names
        local group name _reason
        while read -r group name _reason; do
                [[ -n $group && " $* " == *" $group "* ]] && printf '%s\n' "$name"
        done <<<"$PACKAGES"
        return 0
}

missing_of() { # NAME.. -> those that are not installed
        local have
        # shellcheck disable=SC2016  # the braces are dpkg-query's
        have=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true)
        for name in "$@"; do
                grep -qxF "ii $name" <<<"$have" || printf '%s\n' "$name"
        done
}

# install GROUP..: what is missing of these groups, in one apt call
install() {
        local -a wanted missing root=() options
        local name n_known
        mapfile -t wanted < <(packages_of "$@")
        if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
                say "This is not a Debian system: if something is not found below, install what these packages hold:"
                say "  ${wanted[*]}"
                return 0
        fi
        mapfile -t missing < <(missing_of "${wanted[@]}")
        (( ${#missing[@]} )) || return 0

        step "Installing ${#missing[@]} Debian packages that are missing"
        while read -r _group name reason; do
                [[ " ${missing[*]} " == *" $name "* ]] && printf '   %-20s %s\n' "$name" "$reason"
        done <<<"$PACKAGES"
        if (( EUID != 0 )); then
                command -v sudo >/dev/null || die "root is needed to install them: run as root, or install sudo"
                root=(sudo)
        fi
        options=(-y -q --no-install-recommends -o DPkg::Lock::Timeout=300)
        export DEBIAN_FRONTEND=noninteractive
        # a list of packages that is missing or out of date shows in a package without a candidate, or in a failed download
        n_known=$(apt-cache policy "${missing[@]}" 2>/dev/null | grep -c 'Candidate: [^(]' || true)
        (( n_known == ${#missing[@]} )) || "${root[@]}" apt-get update -q
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${missing[@]}" || {
                say "Once more, with a fresh list of packages"
                "${root[@]}" apt-get update -q
                "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${missing[@]}"
        }
        mapfile -t missing < <(missing_of "${wanted[@]}")
        (( ${#missing[@]} == 0 )) || die "still missing: ${missing[*]}"
}

# ---- building ----------------------------------------------------------------------------------------------------------------

# build_dir DIR [MESON OPTION..]: configured once, brought up to date
build_dir() {
        local dir=$1 log
        shift
        log=$dir.log
        if [[ ! -f $dir/build.ninja ]]; then
                meson setup "$dir" "$@" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; die "configuration of $dir failed"; }
        fi
        # the whole output only when it fails or is on a terminal to be looked at
        if [[ -t 1 ]]; then
                ninja -C "$dir"
        else
                ninja -C "$dir" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; die "build of $dir failed"; }
        fi
        rm -f "$log"
}

build() { build_dir build; }

# Floating-point accidents are errors here, not values: a model never divides by zero nor casts what does not fit.
FLOAT_CHECKS='-fsanitize=float-divide-by-zero,float-cast-overflow -fno-sanitize-recover=all'
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1 second_deadlock_stack=1 ignore_noninstrumented_modules=1 suppressions=$PWD/tests/tsan.supp}

build_clang() { CC=clang build_dir build-clang -Dwerror=true; }
build_asan() { build_dir build-asan -Db_sanitize=address,undefined -Dwerror=true "-Dc_args=$FLOAT_CHECKS" "-Dc_link_args=$FLOAT_CHECKS"; }
build_tsan() { CC=clang build_dir build-tsan -Db_sanitize=thread -Db_lundef=false; }
build_fuzz() { CC=clang build_dir build-fuzz -Db_sanitize=address,undefined -Db_lundef=false "-Dc_args=$FLOAT_CHECKS" "-Dc_link_args=$FLOAT_CHECKS"; }

# ---- commands ----------------------------------------------------------------------------------------------------------------

cmd_help() {
        cat <<'HELP'
usage: ./do COMMAND [ARGUMENT..]

  demo [--keep] [--data FILE..] [--models N] [--days N]
                    burgeond in a scratch directory, years of a simulated ecosystem (or your files) streamed through it, and
                    what a subscriber sees of it; ends by itself
  test [--quick]    everything: unit tests with gcc and clang, under the address, undefined-behaviour and thread sanitizers and
                    valgrind, the system tests; --quick: unit tests and the fast system tests with gcc
  build             the programs, in build/
  setup [GROUP..]   the Debian packages that are missing, in one apt call (groups: build test lint; default: all)
  bench [NAME..]    measurements: rates, latencies, memory
  fuzz [SECONDS]    every parser of outside bytes, so many seconds each (default 60)
  lint              clang-tidy, cppcheck, shellcheck, and what ./do format would change
  format            clang-format over the C files
  clean             remove the build directories

Each command first does what it needs of the others. A bare Debian 12 with git, and root or sudo, is enough.
HELP
}

cmd_setup() {
        (( $# )) || set -- build test lint
        install "$@"
        say "Everything needed ($*) is installed."
}

cmd_build() {
        install build
        build
        say "Built: build/daemon/burgeond build/client/burgeon"
}

cmd_demo() {
        install build
        build
        exec "$PYTHON" client/demo/demo.py --build build --from "$invoked_from" "$@"
}

# What the threads share is small (the store's writer, the refit workers): these unit tests run under the thread sanitizer.
# The others have one thread, and valgrind sees those that handle bytes of others.
TSAN_TESTS=${TSAN_TESTS:-store core pool refit replay bridge commit app}
VALGRIND_TESTS=${VALGRIND_TESTS:-proto registry reader store bridge}

tests_like() { # DIR WORD.. -> the names of the tests that contain one of the words
        local dir=$1 words
        shift
        words=$(IFS='|'; printf '%s' "$*")
        meson test -C "$dir" --list 2>/dev/null | sed -e 's/^.* \/ //' -e 's/^[^:]*://' | grep -E "$words" || true
}

# unit LABEL DIR [MESON TEST OPTION..]: run unit tests; the results are counted at the end
unit() {
        local label=$1 dir=$2 rc=0
        shift 2
        step "Unit tests: $label"
        rm -f "$dir"/meson-logs/testlog*.json # its name depends on the wrapper
        meson test -C "$dir" --no-rebuild --print-errorlogs "$@" || rc=1
        "$PYTHON" tests/count.py add "$RESULTS" "$label" "$rc" "$(echo "$dir"/meson-logs/testlog*.json)"
}

pytest_run() { # LABEL [PYTEST OPTION..]
        local label=$1 rc=0
        shift
        step "System tests: $label"
        rm -f "$RESULTS.pytest.xml"
        "$PYTHON" -m pytest -p no:cacheprovider -q --tb=short --junit-xml="$RESULTS.pytest.xml" "$@" tests || rc=1
        "$PYTHON" tests/count.py add "$RESULTS" "$label" "$rc" "$RESULTS.pytest.xml"
}

cmd_test() {
        local quick=
        while (( $# )); do
                case $1 in
                --quick) quick=1 ;;
                *) die "test: unknown argument '$1' (./do help)" ;;
                esac
                shift
        done
        install build test
        RESULTS=$(mktemp -t burgeon-test.XXXXXX)
        # shellcheck disable=SC2064  # the name as it is now
        trap "rm -f '$RESULTS' '$RESULTS.pytest.xml'" EXIT
        local -a names

        step "Building with gcc"
        build
        unit gcc build
        if [[ $quick ]]; then
                pytest_run fast -m 'not slow'
        else
                step "Building with gcc, address and undefined-behaviour sanitizers, warnings are errors"
                build_asan
                unit "gcc, asan, ubsan" build-asan -t 3
                step "Building with clang, warnings are errors"
                build_clang
                unit clang build-clang
                step "Building with clang, thread sanitizer"
                build_tsan
                # shellcheck disable=SC2086  # words
                mapfile -t names < <(tests_like build-tsan $TSAN_TESTS)
                unit "clang, tsan" build-tsan -t 5 "${names[@]:-none}"
                # shellcheck disable=SC2086
                mapfile -t names < <(tests_like build $VALGRIND_TESTS)
                unit valgrind build -t 10 "${names[@]:-none}" \
                        --wrapper 'valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite'
                pytest_run all
        fi
        "$PYTHON" tests/count.py sum "$RESULTS"
}

# executables DIR PATTERN: those that may be built in DIR, also when they are not built by default
executables() { ninja -C "$1" -t targets all | sed -n 's/^\([^:]*\): c_LINKER.*/\1/p' | grep -E "$2" | sort || true; }

cmd_bench() {
        install build test
        build
        local -a found
        local name
        mapfile -t found < <(executables build '[-_]bench$')
        (( ${#found[@]} )) || die "there is no benchmark"
        ninja -C build "${found[@]}" >/dev/null
        for exe in "${found[@]}"; do
                name=$(basename "$exe" | sed 's/[-_]bench$//')
                if (( $# )) && [[ " $* " != *" $name "* ]]; then
                        continue
                fi
                step "$name"
                "build/$exe"
        done
        for name in load-models load-events latency; do
                if (( $# )) && [[ " $* " != *" $name "* ]]; then
                        continue
                fi
                step "$name"
                "$PYTHON" tests/bench/daemon.py build "$name"
        done
        grep -m1 'model name' /proc/cpuinfo 2>/dev/null | sed 's/.*: /\nMeasured on: /' || true
}

cmd_fuzz() {
        install build test
        build_fuzz
        local -a found
        mapfile -t found < <(executables build-fuzz '(^|/)fuzz_[^/]*$')
        (( ${#found[@]} )) || die "there is no fuzzer"
        ninja -C build-fuzz "${found[@]}" proto/wire.dict >/dev/null
        exec "$PYTHON" tests/fuzz/run.py --build build-fuzz --corpus tests/fuzz/corpus --vectors proto/vectors --seconds "${1:-60}"
}

c_files() { git ls-files -co --exclude-standard '*.c' '*.h'; }

cmd_lint() {
        install build test lint
        build_clang
        local rc=0
        step "shellcheck"
        shellcheck ./do .ci/run || rc=1
        step "clang-format"
        # tables and formulas are set by hand where that reads better: a note, no error
        say "$(c_files | xargs -r clang-format --dry-run 2>&1 | grep -c 'warning:') places that ./do format would change"
        step "cppcheck"
        cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
                --suppressions-list=tests/cppcheck.supp --project=build-clang/compile_commands.json -j "$(nproc)" || rc=1
        step "clang-tidy"
        git ls-files -co --exclude-standard '*.c' | xargs -r -P "$(nproc)" -n 4 clang-tidy --quiet -p build-clang 2>/dev/null || rc=1
        (( rc == 0 )) && say "Nothing found."
        return "$rc"
}

cmd_format() {
        install lint
        c_files | xargs -r clang-format -i
}

cmd_clean() { rm -rf build build-asan build-clang build-tsan build-fuzz; }

command=${1:-help}
(( $# )) && shift
case $command in
help | -h | --help) cmd_help ;;
setup | build | demo | test | bench | fuzz | lint | format | clean) "cmd_$command" "$@" ;;
*) die "unknown command '$command' (./do help)" ;;
esac
