-- settings: memory = "256MiB", spill_max = "1MiB", timeout = "600s"

-- limit sql.spill_max
SELECT repeat('x', 1000) || CAST(value AS VARCHAR) AS s FROM generate_series(1, 300000) ORDER BY s

-- limit sql.spill_max
SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY s) AS n FROM (SELECT repeat('x', 1000) || CAST(value AS VARCHAR) AS s FROM generate_series(1, 300000)))

-- rows
SELECT value FROM generate_series(1, 1000) ORDER BY value DESC
