#!/usr/bin/env bash
# build.sh [--force] MAJOR...: builds the images pgberth/postgres:MAJOR from Debian's own packages.
#
# They stand in for the official "postgres" images where no registry can be reached, with the same environment,
# entry point behaviour and layout. An image that this recipe has built already is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# suite MAJOR prints the Debian release that packages that major version.
suite() {
	case $1 in
		13) echo bullseye ;;
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo forky ;;
		*) die "no Debian release packages PostgreSQL $1: use 13, 15, 17 or 18" ;;
	esac
}

# need_mmdebstrap installs the bootstrapper, or says how to.
need_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	local install='apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring'
	[[ $(id -u) == 0 ]] || die "mmdebstrap is missing; run: sudo $install"
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive $install
}

recipe() {
	cat build.sh entrypoint.sh ../extension/* | sha256sum | cut -c1-16
}

# rootfs MAJOR TARFILE bootstraps the root file system of the image.
rootfs() {
	local major=$1 tar=$2
	# shellcheck disable=SC2016 # $1 is the hooks' own: the folder of the root file system
	local options=(
		--quiet --variant=minbase --include="postgresql-$major,locales,xz-utils,zstd"
		--dpkgopt=force-unsafe-io
		--aptopt='Acquire::Retries "3"'
		# Documentation, and the JIT compiler with its hundred megabytes, which no test needs.
		--dpkgopt='path-exclude=/usr/share/man/*'
		--dpkgopt='path-exclude=/usr/share/doc/*'
		--dpkgopt='path-exclude=/usr/share/locale/*/*'
		--dpkgopt='path-exclude=/usr/lib/*/libLLVM*'
		--dpkgopt='path-exclude=/usr/lib/*/libz3*'
		--dpkgopt='path-exclude=/usr/lib/llvm*'
		--dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/llvmjit.so'
		--dpkgopt='path-exclude=/usr/lib/postgresql/*/lib/bitcode/*'
		# The official image's user number, and no cluster of Debian's own.
		--essential-hook='echo "postgres:x:999:" >>"$1/etc/group"'
		--essential-hook='echo "postgres:x:999:999::/var/lib/postgresql:/bin/bash" >>"$1/etc/passwd"'
		--essential-hook='echo "postgres:*:19000::::::" >>"$1/etc/shadow"'
		--essential-hook='mkdir -p "$1/etc/postgresql-common"'
		--essential-hook='echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
		--customize-hook='upload entrypoint.sh /usr/local/bin/docker-entrypoint.sh'
		--customize-hook="copy-in ../extension/pgberth_test.control ../extension/pgberth_test--1.0.sql ../extension/pgberth_test--1.0--1.1.sql /usr/share/postgresql/$major/extension"
		--customize-hook="$(customize "$major")"
	)
	# A release still in the making is not signed anew every week.
	[[ $major == 18 ]] && options+=(--aptopt='Acquire::Check-Valid-Until "false"')
	mmdebstrap "${options[@]}" "$(suite "$major")" "$tar"
}

# customize MAJOR prints the shell commands that finish a root file system, whose folder is $1.
customize() {
	local script
	read -r -d '' script <<'END' || true
set -e
chmod 755 "$1/usr/local/bin/docker-entrypoint.sh"
chroot "$1" localedef -i en_US -c -f UTF-8 en_US.UTF-8
rm -rf "$1/usr/share/i18n"
sed -i "s/^#*listen_addresses *=.*/listen_addresses = '*'/" "$1/usr/share/postgresql/MAJOR/postgresql.conf.sample"
mkdir -p "$1/docker-entrypoint-initdb.d"
chroot "$1" install -d -o postgres -g postgres -m 3777 /var/run/postgresql
chroot "$1" install -d -o postgres -g postgres -m 1777 /var/lib/postgresql
chroot "$1" install -d -o postgres -g postgres -m 1777 DATA
chroot "$1" dpkg-query -W -f '${Version}' postgresql-MAJOR >"$1/etc/postgresql-version"
END
	script=${script//MAJOR/$1}
	printf '%s\n' "${script//DATA/$(pgdata "$1")}"
}

# pgdata MAJOR prints where the official image of that version keeps its data.
pgdata() {
	if (($1 >= 18)); then echo "/var/lib/postgresql/$1/docker"; else echo /var/lib/postgresql/data; fi
}

# config MAJOR VERSION RECIPE LAYER prints the configuration of an image of one layer, as `docker save` would write it.
config() {
	local data volume
	data=$(pgdata "$1")
	volume=$data
	(($1 >= 18)) && volume=/var/lib/postgresql
	cat <<-END
		{
		  "architecture": "$(dpkg --print-architecture)", "os": "linux",
		  "created": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
		  "config": {
		    "Env": [
		      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$1/bin",
		      "LANG=en_US.utf8", "PG_MAJOR=$1", "PG_VERSION=$2", "PGDATA=$data"
		    ],
		    "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres"], "StopSignal": "SIGINT",
		    "ExposedPorts": {"5432/tcp": {}}, "Volumes": {"$volume": {}},
		    "Labels": {"pgberth.recipe": "$3"}
		  },
		  "history": [{"created_by": "testdata/image/build.sh"}],
		  "rootfs": {"type": "layers", "diff_ids": ["sha256:$4"]}
		}
	END
}

build() {
	local major=$1 recipe=$2 dir=$work/$1 old version layer
	printf 'building pgberth/postgres:%s from Debian %s\n' "$major" "$(suite "$major")"
	mkdir "$dir"
	rootfs "$major" "$dir/layer.tar"
	version=$(tar -xOf "$dir/layer.tar" ./etc/postgresql-version)
	layer=$(sha256sum <"$dir/layer.tar")
	config "$major" "$version" "$recipe" "${layer%% *}" >"$dir/config.json"
	printf '[{"Config":"config.json","RepoTags":["pgberth/postgres:%s"],"Layers":["layer.tar"]}]' "$major" >"$dir/manifest.json"
	old=$(docker image inspect --format '{{.Id}}' "pgberth/postgres:$major" 2>/dev/null) || old=
	tar -C "$dir" -cf - manifest.json config.json layer.tar | docker load --quiet >/dev/null
	rm -r "$dir"
	# The image it replaces goes, unless a container still stands on it.
	[[ -z $old ]] || docker rmi "$old" >/dev/null 2>&1 || true
	printf 'built pgberth/postgres:%s with PostgreSQL %s\n' "$major" "$version"
}

force=
[[ ${1:-} == --force ]] && force=yes && shift
(($# > 0)) || die 'usage: build.sh [--force] MAJOR...'
command -v docker >/dev/null || die 'docker is missing; install Docker Engine first'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
recipe=$(recipe)
for major; do
	suite "$major" >/dev/null
	have=$(docker image inspect --format '{{index .Config.Labels "pgberth.recipe"}}' "pgberth/postgres:$major" 2>/dev/null) || have=
	[[ -z $force && $have == "$recipe" ]] && continue
	need_mmdebstrap
	build "$major" "$recipe"
done
