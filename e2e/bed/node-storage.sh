# node-storage.sh: directories for local volumes, writable by the uid that pods of the bed run as.
# `fast` lies on the node's own part of the disk; `small` and `short` lie on file systems that are
# full after 48 MiB. Sourced by node.sh.
# shellcheck shell=bash

for ((i = 0; i < 64; i++)); do
  mkdir -p "/var/local/sealroom/fast/$i"
  chown 65532:65532 "/var/local/sealroom/fast/$i"
done
for class in small short; do
  for ((i = 0; i < 3; i++)); do
    mkdir -p "/var/local/sealroom/$class/$i"
    mount -t tmpfs -o size=48m,mode=770,uid=65532,gid=65532 "sealroom-$class" "/var/local/sealroom/$class/$i"
  done
done
