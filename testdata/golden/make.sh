#!/bin/sh
# Makes the golden archives: one small database, dumped by every major version of pg_dump
# in every format. Needs docker and the images pgberth/postgres:13, 15, 17 and 18.
# Archives of layout 1.15 need pg_dump 16, for which there is no image: the test of
# conversions makes one out of 17's (go test ./archive -run Convert -update).
set -eu
cd "$(dirname "$0")"

# dumps runs pg_dump in a container for one major version.
dumps() {
	major=$1
	name=pgberth-golden-$major
	docker run -d --rm --name "$name" --network none -e POSTGRES_HOST_AUTH_METHOD=trust "pgberth/postgres:$major" >/dev/null
	trap 'docker rm -f "$name" >/dev/null 2>&1' EXIT
	# The temporary server that initializes the cluster does not listen on TCP.
	tries=0
	until docker exec "$name" pg_isready -q -h 127.0.0.1; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || { echo "server $major does not start" >&2; exit 1; }
		sleep 0.2
	done
	docker exec -i "$name" psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -U postgres <schema.sql
	docker exec -i "$name" sh -eu <<-SCRIPT
		mkdir /tmp/golden
		cd /tmp/golden
		dump() { file=\$1; shift; pg_dump -U postgres -f "$major-\$file" "\$@" golden; }
		dump custom.dump -Fc
		dump directory -Fd
		case $major in
		17|18)
			# Standard output is in append mode then, and the table of contents comes twice.
			pg_dump -U postgres -Fc golden >"$major-appended.dump"
			;;
		esac
		case $major in
		13|17)
			dump plain.dump -Fc -Z0
			pg_dump -U postgres -Fc golden | cat >"$major-piped.dump"
			dump tar.tar -Ft
			dump inserts -Fd -Z0 --inserts -t '*.players'
			;;
		esac
		case $major in
		17)
			dump zstd.dump -Fc -Z zstd
			dump lz4.dump -Fc -Z lz4
			dump directory-zstd -Fd -Z zstd
			dump directory-lz4 -Fd -Z lz4
			;;
		18)
			dump statistics.dump -Fc --statistics
			;;
		esac
		for a in *; do pg_restore -l "\$a" >"\$a.list"; done
		chmod -R go+rX .
	SCRIPT
	rm -rf "$major"-*
	docker exec "$name" tar -C /tmp/golden -cf - . | tar -xf - --no-same-owner
	docker rm -f "$name" >/dev/null
	trap - EXIT
}

for major in ${*:-13 15 17 18}; do
	dumps "$major"
done
