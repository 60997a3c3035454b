#!/bin/sh
# install.sh POLICY CLUSTERS PACKAGE...
# Installs Debian packages without a question, a started service or a created database cluster.
set -eu

policy=$1
clusters=$2
shift 2
saved=$(mktemp -d)

restore() {
    rm -f "$policy" "$clusters/00-perfkit.conf"
    if [ -e "$saved/policy" ]; then mv "$saved/policy" "$policy"; fi
    rmdir "$saved"
}
trap restore EXIT
trap 'exit 130' INT TERM

if [ -e "$policy" ]; then mv "$policy" "$saved/policy"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
mkdir -p "$clusters"
echo 'create_main_cluster = false' >"$clusters/00-perfkit.conf"

export DEBIAN_FRONTEND=noninteractive
apt-get --quiet --option DPkg::Lock::Timeout=300 update
apt-get --quiet --option DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"
