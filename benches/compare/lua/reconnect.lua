-- A new connection for every query: what a proxy pays for sign-in, and what its pool saves the server. With --set-names=on each
-- connection says SET NAMES first, as PHP's do for every request; that counts as a query of its own.

sysbench.cmdline.options = {
   tables = {"Number of tables", 1},
   table_size = {"Rows in each table", 10000},
   set_names = {"Say SET NAMES before the query", false},
}

function thread_init()
   drv = sysbench.sql.driver()
end

function event()
   local con = drv:connect()
   if sysbench.opt.set_names then
      con:query("SET NAMES utf8mb4")
   end
   con:query(string.format("SELECT c FROM sbtest%d WHERE id = %d", sysbench.rand.uniform(1, sysbench.opt.tables),
                           sysbench.rand.uniform(1, sysbench.opt.table_size)))
   con:disconnect()
end
