# A database server from a distribution's packages (deploy/images makes BASE), that starts as the official images do.
ARG BASE
FROM ${BASE}
COPY entrypoint /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The data directory is the server's own before it is declared a volume: volumes take over what is there.
USER 0:0
RUN ["/bin/bash", "-c", "rm -rf /var/lib/mysql /etc/mysql && mkdir -p /var/lib/mysql /var/lib/mysql-files /run/mysqld /docker-entrypoint-initdb.d && chown 999:999 /var/lib/mysql /var/lib/mysql-files /run/mysqld"]
USER 999:999
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["docker-entrypoint.sh"]
