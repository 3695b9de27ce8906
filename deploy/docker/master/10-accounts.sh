#!/bin/bash
# Accounts of the master, made at its first start. Not logged: each server makes its own.
# Under the official image this is sourced, with its own function; under ours it is run with CLIENT and SOCKET.
run_sql() {
    if declare -F docker_process_sql >/dev/null; then docker_process_sql; else "$CLIENT" --no-defaults -uroot --socket="$SOCKET"; fi
}
run_sql <<SQL
SET SESSION sql_log_bin = 0;
CREATE USER '$APP_USER'@'%' IDENTIFIED BY '$APP_PASSWORD';
GRANT ALL ON cdr.* TO '$APP_USER'@'%';
CREATE USER '$DMS_USER'@'%' IDENTIFIED BY '$DMS_PASSWORD';
GRANT ALL ON cdr.* TO '$DMS_USER'@'%';
GRANT REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR ON *.* TO '$DMS_USER'@'%';
CREATE USER '$REPLICATION_USER'@'%' IDENTIFIED BY '$REPLICATION_PASSWORD';
GRANT REPLICATION SLAVE ON *.* TO '$REPLICATION_USER'@'%';
SQL
