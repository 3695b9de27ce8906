-- What PHP does for every request: sign in, SET NAMES, one query, leave. Each event counts as two queries.

sysbench.cmdline.options = {
   tables = {"Number of tables", 1},
   table_size = {"Rows in each table", 10000},
}

function thread_init()
   drv = sysbench.sql.driver()
end

function event()
   local con = drv:connect()
   con:query("SET NAMES utf8mb4")
   con:query(string.format("SELECT c FROM sbtest%d WHERE id = %d", sysbench.rand.uniform(1, sysbench.opt.tables),
                           sysbench.rand.uniform(1, sysbench.opt.table_size)))
   con:disconnect()
end
