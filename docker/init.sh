#!/bin/sh
# Makes a network of four parties once: a genesis, and into each party's volume its configuration and
# its own keys, which no other volume gets.
#
# Does nothing where all volumes are filled, and stops where only some are: a second genesis beside
# the first would be another network.
set -eu

volumes=${CONSIGN_VOLUMES:-/volumes}
owner=${CONSIGN_OWNER:-10001:10001}
subnet=${CONSIGN_SUBNET:-172.30.57}
parties="forwarder airline handler consignee"

filled=0
for party in $parties; do
    if [ -e "$volumes/$party/consignd.toml" ]; then filled=$((filled + 1)); fi
done
case $filled in
4)
    echo "the network exists already"
    exit 0
    ;;
0) ;;
*)
    echo "error: $filled of 4 volumes are filled; remove them all (docker compose down --volumes) to begin again" >&2
    exit 1
    ;;
esac

network=$(mktemp -d)/network
# shellcheck disable=SC2046,SC2086 # Words are wanted.
consign network init --out "$network" --origin compose.example/consign \
    --base-port 9101 --p2p-base-port 9201 $(printf -- '--party %s ' $parties)

# The configurations are for one machine's loopback, where each node has its own port. Here each node
# has its own address instead, and must be reachable from outside its container.
number=0
rewrite="s#127\\.0\\.0\\.1:91[0-9][0-9]#0.0.0.0:9101#"
for party in $parties; do
    number=$((number + 1))
    for transport in tcp udp; do
        rewrite="$rewrite;s#/ip4/127\\.0\\.0\\.1/$transport/920$number#/ip4/$subnet.1$number/$transport/9201#g"
    done
done
number=0
for party in $parties; do
    number=$((number + 1))
    cp -a "$network/$party/." "$volumes/$party/"
    # Its own address becomes any address: the one it listens on.
    sed -e "$rewrite" -e "s#/ip4/$subnet\\.1$number/#/ip4/0.0.0.0/#g" \
        "$network/$party/consignd.toml" >"$volumes/$party/consignd.toml"
    chown -R "$owner" "$volumes/$party"
done
cp "$network/genesis.cbor" "$network/network.trust.json" "$network/policy.txt" "$volumes/public/"
echo "made a network of four parties; its trust file is network.trust.json in the volume public"
