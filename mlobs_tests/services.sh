#!/bin/sh
# Installs what the tests start themselves and pip can't bring: Postgres, a Java runtime (for Spark) and Chromium with its
# driver (for the report), from Debian's packages, where they are absent. May touch the system's packages; needs root, or sudo without a password.
set -eu

missing=""
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null 2>&1; then
    missing="postgresql"
fi
if ! command -v java >/dev/null 2>&1 && [ -z "${JAVA_HOME:-}" ]; then
    missing="$missing default-jre-headless"
fi
if ! command -v chromium >/dev/null 2>&1 || ! command -v chromedriver >/dev/null 2>&1; then
    missing="$missing chromium chromium-driver"
fi
if [ -z "$missing" ]; then
    echo "services: Postgres, Java and Chromium are there"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "services: install$missing yourself (no apt-get here), or set MLOBS_TEST_ENGINES=duckdb" >&2
    exit 1
fi
root=""
if [ "$(id -u)" -ne 0 ]; then
    root="sudo -n"
fi
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
# The package would start a server of its own; the tests start theirs.
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "services: installed $missing"
