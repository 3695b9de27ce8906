#!/bin/bash
# Accounts of the Aurora stand-in: the application reads, the change applier writes.
run_sql() {
    if declare -F docker_process_sql >/dev/null; then docker_process_sql; else "$CLIENT" --no-defaults -uroot --socket="$SOCKET"; fi
}
run_sql <<SQL
CREATE USER '$APP_USER'@'%' IDENTIFIED BY '$APP_PASSWORD';
GRANT SELECT ON cdr.* TO '$APP_USER'@'%';
CREATE USER '$DMS_USER'@'%' IDENTIFIED BY '$DMS_PASSWORD';
GRANT ALL ON cdr.* TO '$DMS_USER'@'%';
GRANT ALL ON applier.* TO '$DMS_USER'@'%';
SQL
