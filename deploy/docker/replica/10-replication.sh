#!/bin/bash
# Accounts of the replica, and replication from the master by GTID, from the master's first transaction on: the master
# has its schema made after both are there. Replication starts with the server.
run_sql() {
    if declare -F docker_process_sql >/dev/null; then docker_process_sql; else "$CLIENT" --no-defaults -uroot --socket="$SOCKET"; fi
}
run_sql <<SQL
SET SESSION sql_log_bin = 0;
CREATE USER '$APP_USER'@'%' IDENTIFIED BY '$APP_PASSWORD';
GRANT SELECT ON cdr.* TO '$APP_USER'@'%';
GRANT REPLICA MONITOR ON *.* TO '$APP_USER'@'%';
CHANGE MASTER TO MASTER_HOST = 'sdc-master', MASTER_PORT = 3306, MASTER_USER = '$REPLICATION_USER',
    MASTER_PASSWORD = '$REPLICATION_PASSWORD', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;
SQL
