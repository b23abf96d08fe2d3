#!/usr/bin/env bash
# demo.sh: moves a sample database from a throwaway server on this host into a Compose service's container.
# demo.sh clean: removes the container, its volume and network, and the server.
#
# Nothing of yours is touched: the server has a folder, socket and port of its own, the container is named bullion-db.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

cd "$root"

dir=${TMPDIR:-/tmp}/pgberth-demo # the source server's data, socket and log
source_port=54319
target_port=54320
scale=${DEMO_SCALE:-220} # about 1.3 MB a unit
password=                # of the container's user, made anew by each demo

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

# show COMMAND... prints a command as one would type it, and runs it.
show() {
	local arg
	printf '\n$'
	for arg; do
		if [[ $arg == *[!A-Za-z0-9_/.:-]* ]]; then printf " '%s'" "$arg"; else printf ' %s' "$arg"; fi
	done
	printf '\n'
	"$@"
}

compose() {
	local command=(docker compose)
	docker compose version >/dev/null 2>&1 || command=(docker-compose)
	"${command[@]}" --project-name bullion --file "$here/compose.yaml" "$@"
}

# need_compose installs Compose where neither of its forms is there.
need_compose() {
	docker compose version >/dev/null 2>&1 && return
	command -v docker-compose >/dev/null && return
	local install='apt-get install -y -q --no-install-recommends docker-compose'
	[[ $(id -u) == 0 ]] || die "docker compose is missing; run: sudo $install"
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive $install
}

# server PROGRAM... runs one of the host's PostgreSQL server programs, which refuse to run as root.
server() {
	local program=$1 bin
	shift
	bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || bin=$(dirname "$(command -v postgres)")
	if [[ $(id -u) == 0 ]]; then
		setpriv --reuid postgres --regid postgres --init-groups "$bin/$program" "$@"
	else
		"$bin/$program" "$@"
	fi
}

clean() {
	if [[ -f $dir/data/postmaster.pid ]]; then
		server pg_ctl --pgdata "$dir/data" --mode fast --wait stop >/dev/null || true
	fi
	if command -v docker >/dev/null; then
		DEMO_PASSWORD=unused compose down --volumes --remove-orphans >/dev/null 2>&1 ||
			die 'the container, its volume or its network could not be removed'
	fi
	rm -rf "$dir"
}

# choose_image takes the official image where a registry answers, else ours of the same behaviour.
choose_image() {
	if docker image inspect postgres:17 >/dev/null 2>&1 || timeout 120 docker pull --quiet postgres:17 >/dev/null 2>&1; then
		echo postgres:17 >"$dir/image"
		return
	fi
	"$root/testdata/image/build.sh" 17 >"$dir/image.log" 2>&1 || {
		cat "$dir/image.log" >&2
		return 1
	}
	echo pgberth/postgres:17 >"$dir/image"
}

start_source() {
	mkdir -p "$dir"
	[[ $(id -u) != 0 ]] || chown postgres "$dir"
	server initdb --pgdata "$dir/data" --username postgres --auth trust --encoding UTF8 --locale C.UTF-8 --no-sync >"$dir/log"
	server pg_ctl --pgdata "$dir/data" --log "$dir/server.log" --wait start >/dev/null \
		--options "-p $source_port -k $dir -c listen_addresses='' -c fsync=off -c max_wal_size=2GB"
}

on_source() {
	psql --no-psqlrc --host "$dir" --port "$source_port" --username postgres --set ON_ERROR_STOP=1 "$@"
}

fill_source() {
	on_source --quiet --dbname postgres --command 'CREATE DATABASE banker'
	on_source --quiet --dbname banker --file "$root/testdata/banker/schema.sql"
	on_source --quiet --dbname banker --set "scale=$scale" --file "$root/testdata/banker/generate.sql"
	on_source --quiet --tuples-only --no-align --dbname banker \
		--command "SELECT 'banker holds ' || pg_size_pretty(pg_database_size('banker'))"
}

on_target() {
	PGPASSWORD=$password psql --no-psqlrc --host 127.0.0.1 --port "$target_port" --username bullion --set ON_ERROR_STOP=1 "$@"
}

# wait_for_target waits until the container's server answers over TCP: the one that initializes the cluster does not.
wait_for_target() {
	local tries
	for tries in {1..240}; do
		on_target --dbname bullion --quiet --command '' >/dev/null 2>&1 && return
		sleep 0.25
	done
	docker logs --tail 20 bullion-db >&2
	die "bullion-db does not answer after $tries tries"
}

demo() {
	"$root/testdata/setup.sh" host engine
	need_compose
	clean
	[[ -z $(docker ps --all --quiet --filter 'name=^/bullion-db$') ]] || die 'a container bullion-db exists that is not the demo'\''s'
	if (exec 3<>"/dev/tcp/127.0.0.1/$target_port") 2>/dev/null; then
		die "port $target_port of 127.0.0.1 is taken; the demo's container is to publish it"
	fi

	say 'The host: a server with the database "banker" (and, meanwhile, the image of the container)'
	start_source
	choose_image &
	local image=$!
	trap 'kill "$image" 2>/dev/null || true' EXIT
	fill_source
	wait "$image" || die 'no image of PostgreSQL 17 could be pulled or built'
	trap - EXIT

	say "The container: bullion-db, of $(<"$dir/image"), published on port $target_port"
	password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	DEMO_IMAGE=$(<"$dir/image") DEMO_PASSWORD=$password compose up --detach
	wait_for_target

	local pgberth=bin/pgberth from="postgresql://postgres@/banker?host=$dir&port=$source_port"
	say 'pgberth finds it'
	show "$pgberth" locate
	say 'moves the database'
	show "$pgberth" migrate --from "$from" --to docker://bullion-db
	say 'and compares both sides'
	show "$pgberth" compare --from "$from" --to docker://bullion-db/banker

	say 'A query of your own, on the host and in the container'
	local query="SELECT variant, count(*) AS games, sum(hands) AS hands, sum(pots) AS pots FROM game_totals GROUP BY 1 ORDER BY 1"
	on_source --dbname banker --command "$query" | tee "$dir/source.txt"
	on_target --dbname banker --command "$query" | tee "$dir/target.txt"
	cmp "$dir/source.txt" "$dir/target.txt" || die 'the answers differ'

	say 'Done. Both are still running; make demo-clean removes them.'
}

case ${1:-} in
	'') demo ;;
	clean) clean ;;
	*) die 'usage: demo.sh [clean]' ;;
esac
