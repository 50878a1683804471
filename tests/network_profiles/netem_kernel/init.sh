#!/bin/bash
# The first process of the user-mode kernel: makes it a machine, runs the command in $JOB/argv, switches off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /run/job /run/modules/lib
mount -t hostfs job /run/job -o "$JOB"
ln -s "$MODULES" /run/modules/lib/modules
modprobe -d /run/modules -a ipv6 veth tun sch_netem sch_htb sch_plug sch_ingress cls_matchall act_mirred act_gact
ip link set lo up
export TMPDIR=/run/job HOME=/run/job
cd /run/job || poweroff -f
mapfile -d '' -t command <argv
"${command[@]}" </dev/null >output 2>&1
echo $? >exit_code
sync
poweroff -f
