-- One query per event that returns up to 1,000 rows: what a relay pays for rows instead of for queries.

sysbench.cmdline.options = {
   tables = {"Number of tables", 1},
   table_size = {"Rows in each table", 10000},
   range_rows = {"Rows that each query returns", 1000},
}

function thread_init()
   con = sysbench.sql.driver():connect()
end

function thread_done()
   con:disconnect()
end

function event()
   local opt = sysbench.opt
   local first = sysbench.rand.uniform(1, math.max(1, opt.table_size - opt.range_rows + 1))
   con:query(string.format("SELECT id, k, c FROM sbtest%d WHERE id BETWEEN %d AND %d",
                           sysbench.rand.uniform(1, opt.tables), first, first + opt.range_rows - 1))
end
