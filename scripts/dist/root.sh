#!/bin/sh
# Writes the files of the container image: FOLDER/root has the program, the system libraries that it needs, and a user; FOLDER/data
# is empty.
#     scripts/dist/root.sh PROGRAM FOLDER
set -eu
program=$1 root=$2/root

rm -rf "$root"
mkdir -p "$root/usr/local/bin" "$root/etc" "$2/data"
cp "$program" "$root/usr/local/bin/keyfob"
# A static program needs none.
for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
for package in libc6 libgcc-s1; do
    if [ -f "/usr/share/doc/$package/copyright" ] && [ -d "$root/lib" ]; then
        mkdir -p "$root/usr/share/doc/$package"
        cp "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
    fi
done
echo 'keyfob:x:65532:65532:Keyfob:/data:/' >"$root/etc/passwd"
echo 'keyfob:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
