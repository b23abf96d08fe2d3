#!/usr/bin/env bash
# setup.sh [s3] [host] [ssh] [podman] [engine] [chromium] [MAJOR...]: provides what the tests stand on, installing it as root or naming the command that would.
#
# "s3" is the program of an S3 server, bin/s3server, "host" PostgreSQL's server programs on this machine, "ssh" an sshd that is not started, "podman" Podman, "engine" a docker engine,
# "chromium" a browser that looks at pages; a number is the image pgberth/postgres:NUMBER.
# What is there already is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# install PACKAGE... installs Debian packages, or says how to.
install() {
	command -v apt-get >/dev/null || die "install $* first, by your system's package manager"
	[[ $(id -u) == 0 ]] || die "$* missing; run: sudo apt-get install $*"
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# host_postgres installs the server programs without the cluster that Debian would create and start beside them.
host_postgres() {
	compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
	command -v postgres >/dev/null && return
	if [[ $(id -u) == 0 ]]; then
		dropin=/etc/postgresql-common/createcluster.d/pgberth-tests.conf
		mkdir -p "${dropin%/*}"
		trap 'rm -f "$dropin"' EXIT
		printf 'create_main_cluster = false\n' >"$dropin"
	fi
	install postgresql
}

# quietly installs packages without starting what they would start.
quietly() {
	local policy=/usr/sbin/policy-rc.d
	if [[ $(id -u) == 0 && ! -e $policy ]]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	install "$@"
}

# ssh_server installs sshd for the tests, which start their own on the loopback address. None is to run besides.
ssh_server() {
	[[ -x /usr/sbin/sshd ]] && command -v ssh >/dev/null && return
	quietly openssh-server openssh-client
}

# podman installs Podman for the tests, which start its service on a socket of their own.
podman() {
	type -P podman >/dev/null && [[ -e /usr/libexec/podman/catatonit ]] && return
	quietly podman catatonit
}

check_go() {
	local want have
	want=$(awk '$1 == "go" { print $2 }' ../go.mod)
	command -v go >/dev/null || die "Go $want is missing; see https://go.dev/doc/install"
	have=$(GOTOOLCHAIN=local go env GOVERSION)
	have=${have#go}
	[[ $(printf '%s\n' "$want" "$have" | sort -V | head -n 1) == "$want" ]] ||
		die "Go $have is older than the $want that go.mod asks for; see https://go.dev/doc/install"
}

# engine provides a docker engine that answers.
engine() {
	command -v docker >/dev/null || install docker.io
	command -v docker >/dev/null || install docker-cli # a package of its own since Debian 13
	if ! docker version >/dev/null 2>&1 && [[ $(id -u) == 0 ]]; then
		service docker start >/dev/null || true # what it lacks shows below
		for _ in {1..60}; do
			docker version >/dev/null 2>&1 && break
			sleep 0.5
		done
	fi
	docker version >/dev/null || die 'no docker engine answers; start it, or join the group docker'
	docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || install docker-compose
}

# s3_server builds what takes minutes where nothing of it was built before, most of them in one huge package of Amazon's, and half as
# many without inlining.
s3_server() {
	go build -C s3server -ldflags '-s -w' -gcflags 'github.com/...=-l' -o ../../bin/s3server .
}

# chromium installs a headless browser, with the one font its pages need.
headless_browser() {
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || install chromium fonts-dejavu-core
}

check_go
majors=() browser='' building='' installing=''
for what; do
	case $what in
	s3)
		s3_server & # beside what waits for the network
		building=$!
		;;
	host) host_postgres ;;
	ssh) ssh_server ;;
	podman) podman ;;
	engine) engine ;;
	chromium) browser=yes ;;
	*) majors+=("$what") ;;
	esac
done
if ((${#majors[@]} > 0)); then
	engine
	# What else needs the package manager comes first: the browser is unpacked while images are being built.
	[[ -z $browser ]] || command -v mmdebstrap >/dev/null || install mmdebstrap debian-archive-keyring
fi
if [[ -n $browser ]]; then
	headless_browser &
	installing=$!
fi
if ((${#majors[@]} > 0)); then
	image/build.sh "${majors[@]}"
fi
if [[ -n $installing ]]; then
	wait "$installing" || die 'Chromium could not be installed'
fi
if [[ -n $building ]]; then
	wait "$building" || die 'the S3 server could not be built'
fi
