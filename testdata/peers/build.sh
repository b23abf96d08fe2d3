#!/usr/bin/env bash
# build.sh: builds the image pgberth/peers, which holds the tools that the bench holds pgberth against: pgcopydb, pg_dump, pg_restore, psql.
#
# All are Debian's packages of trixie. An image that this recipe has built already is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

image=pgberth/peers
recipe=$(sha256sum <build.sh | cut -c1-16)
command -v docker >/dev/null || die 'docker is missing; install Docker Engine first'
have=$(docker image inspect --format '{{index .Config.Labels "pgberth.recipe"}}' "$image" 2>/dev/null) || have=
[[ $have == "$recipe" ]] && exit
if ! command -v mmdebstrap >/dev/null; then
	install='apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring'
	[[ $(id -u) == 0 ]] || die "mmdebstrap is missing; run: sudo $install"
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive $install
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'building %s from Debian trixie\n' "$image"
# shellcheck disable=SC2016 # $1 is the hook's own: the folder of the root file system
mmdebstrap --quiet --variant=minbase --include=pgcopydb,postgresql-client-17,locales --dpkgopt=force-unsafe-io \
	--aptopt='Acquire::Retries "3"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*/*' \
	--customize-hook='chroot "$1" localedef -i en_US -c -f UTF-8 en_US.UTF-8' \
	trixie "$work/layer.tar"
layer=$(sha256sum <"$work/layer.tar")
cat >"$work/config.json" <<END
{
  "architecture": "$(dpkg --print-architecture)", "os": "linux", "created": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "config": {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin", "LANG=en_US.utf8"],
    "Cmd": ["sleep", "infinity"], "Labels": {"pgberth.recipe": "$recipe"}
  },
  "history": [{"created_by": "testdata/peers/build.sh"}],
  "rootfs": {"type": "layers", "diff_ids": ["sha256:${layer%% *}"]}
}
END
printf '[{"Config":"config.json","RepoTags":["%s:latest"],"Layers":["layer.tar"]}]' "$image" >"$work/manifest.json"
tar -C "$work" -cf - manifest.json config.json layer.tar | docker load --quiet >/dev/null
printf 'built %s with %s\n' "$image" "$(docker run --rm --network none "$image" pgcopydb --version | head -n 1)"
