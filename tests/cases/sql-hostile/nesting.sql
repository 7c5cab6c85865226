-- settings: timeout = "600s"

-- limit operators
SELECT «(×5000»1«)×5000»

-- limit operators
SELECT 1«+1×20000»

-- limit operators
SELECT 1«UNION ALL SELECT 1 ×3000»

-- limit operators
SELECT 1 WHERE 'a' = 'b'« OR 'a' = 'b'×8000»

-- limit operators
SELECT «- ×20000»1

-- limit operators
SELECT «NOT ×20000»true

-- limit operators
SELECT «CASE WHEN true THEN ×2000»1«END ×2000»

-- limit operators
SELECT * FROM «(SELECT * FROM ×2000»message«)×2000»

-- limit operators
SELECT «abs(×5000»1«)×5000»

-- limit operators
SELECT «[×5000»1«]×5000»

-- limit operators
«/* ×3000»«*/ ×3000»SELECT 1«+1×2000»

-- limit sql.max_statement
SELECT '«a×2000000»'

-- limit sql.max_statement
SELECT '«a×3000000»'

-- limit sql.max_statement
SELECT '«é×5000000»'

-- limit sql.max_statement
SELECT 1 WHERE 1 IN (1«, 1×4000000»)

-- limit sql.max_row
SELECT repeat('a', 20000000)

-- limit sql.max_row
SELECT array_repeat(NULL, 1100000)

-- limit sql.max_row
SELECT make_array(repeat('a', 5000000), repeat('b', 5000000))
