-- wide
SELECT
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  COUNT(*) AS `rows`,
  unix_micros(CAST(MAX(`scheduled`) AS TIMESTAMP)) AS `newest`,
  COUNT(`cancelled`) AS `valued_3`,
  COUNT(CASE WHEN CAST(`cancelled` AS BOOL) THEN 1 END) AS `trues_3`,
  COUNT(`scheduled`) AS `valued_4`,
  COUNT(
    CASE
      WHEN `scheduled` < CAST('1900-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
      THEN 1
    END
  ) AS `past_4`,
  COUNT(
    CASE
      WHEN `scheduled` = CAST('1970-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
      THEN 1
    END
  ) AS `zero_4`,
  unix_micros(CAST(MIN(`scheduled`) AS TIMESTAMP)) AS `low_4`,
  unix_micros(CAST(MAX(`scheduled`) AS TIMESTAMP)) AS `high_4`,
  COUNT(
    CASE
      WHEN CAST(FLOOR(
        (
          unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS INT64) > (
        CAST(FLOOR(
          (
            unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
          ) * 1.0e0 / 86400000000.0e0
        ) AS INT64)
      )
      THEN 1
    END
  ) AS `future_4`,
  COUNT(CASE WHEN `delay` IS NULL AND NOT `dep "time"` IS NULL THEN 1 END) AS `alone_0`,
  COUNT(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST(`delay` AS FLOAT64) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS FLOAT64) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS FLOAT64)
                END
              ) - (
                -3.0e0
              )
            ) / 20.0e0
          ) - (
            (
              -0.25e0
            ) + 0.5e0 * (
              (
                (
                  CASE
                    WHEN CAST(`dep "time"` AS FLOAT64) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS FLOAT64) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS FLOAT64)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS `residuals_0`,
  SUM(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST(`delay` AS FLOAT64) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS FLOAT64) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS FLOAT64)
                END
              ) - (
                -3.0e0
              )
            ) / 20.0e0
          ) - (
            (
              -0.25e0
            ) + 0.5e0 * (
              (
                (
                  CASE
                    WHEN CAST(`dep "time"` AS FLOAT64) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS FLOAT64) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS FLOAT64)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS `total_0`,
  SUM(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST(`delay` AS FLOAT64) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS FLOAT64) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS FLOAT64)
                END
              ) - (
                -3.0e0
              )
            ) / 20.0e0
          ) - (
            (
              -0.25e0
            ) + 0.5e0 * (
              (
                (
                  CASE
                    WHEN CAST(`dep "time"` AS FLOAT64) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS FLOAT64) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS FLOAT64)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    ) * (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST(`delay` AS FLOAT64) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS FLOAT64) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS FLOAT64)
                END
              ) - (
                -3.0e0
              )
            ) / 20.0e0
          ) - (
            (
              -0.25e0
            ) + 0.5e0 * (
              (
                (
                  CASE
                    WHEN CAST(`dep "time"` AS FLOAT64) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS FLOAT64) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS FLOAT64)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS `squares_0`
FROM `flights`.`features`
WHERE
  `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
  AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
GROUP BY
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64),
  CAST(`carrier` AS STRING);

-- bins
SELECT
  0 AS `p`,
  0 AS `f`,
  `g` AS `g`,
  `u1` AS `u1`,
  CASE
    WHEN NOT `d` IS NULL
    THEN CAST(FLOOR(300.0e0 * `d` / (
      20.0e0 + ABS(`d`)
    )) AS INT64)
    ELSE CASE
      WHEN IS_NAN(`x`)
      THEN 900
      WHEN `x` > 1.7976931348623157e+308
      THEN 901
      WHEN `x` < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN `x` < 0
      THEN 904
      WHEN NOT `x` IS NULL
      THEN 903
    END
  END AS `b`,
  COUNT(*) AS `n`,
  SUM(
    CASE
      WHEN NOT `d` IS NULL
      THEN `d`
      WHEN ABS(`x`) <= 1.7976931348623157e308
      THEN `x` * 2.409919865102884e-181
    END
  ) AS `s1`,
  SUM(`d` * `d`) AS `s2`,
  MIN(`x`) AS `lo`,
  MAX(`x`) AS `hi`,
  COUNT(CASE WHEN `x` = 0 THEN 1 END) AS `k1`,
  COUNT(CASE WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` < 0 THEN 1 END) AS `k2`,
  COUNT(
    CASE
      WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` < (
        -1.7976931348623157e+308
      )
      THEN 1
    END
  ) AS `k3`,
  COUNT(
    CASE
      WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` > 1.7976931348623157e+308
      THEN 1
    END
  ) AS `k4`
FROM (
  SELECT
    CAST(FLOOR(
      (
        unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS INT64) AS `g`,
    CAST(`carrier` AS STRING) AS `u1`,
    `delay` AS `x`,
    CASE
      WHEN ABS(`delay`) <= 1e+140
      THEN (
        (
          CASE WHEN ABS(`delay`) < 1e-140 THEN 0.0e0 ELSE `delay` END
        ) - (
          -2.9885057471264367e0
        )
      )
    END AS `d`
  FROM `flights`.`features`
  WHERE
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
) AS `numbers`
GROUP BY
  `g`,
  `u1`,
  CASE
    WHEN NOT `d` IS NULL
    THEN CAST(FLOOR(300.0e0 * `d` / (
      20.0e0 + ABS(`d`)
    )) AS INT64)
    ELSE CASE
      WHEN IS_NAN(`x`)
      THEN 900
      WHEN `x` > 1.7976931348623157e+308
      THEN 901
      WHEN `x` < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN `x` < 0
      THEN 904
      WHEN NOT `x` IS NULL
      THEN 903
    END
  END
UNION ALL
SELECT
  0 AS `p`,
  1 AS `f`,
  `g` AS `g`,
  `u1` AS `u1`,
  CASE
    WHEN NOT `d` IS NULL
    THEN CAST(FLOOR(
      150.0e0 * `d` / (
        400.0e0 + ABS(`d`)
      ) + 150.0e0 * `d` / (
        8000.0e0 + ABS(`d`)
      )
    ) AS INT64)
    ELSE CASE
      WHEN IS_NAN(`x`)
      THEN 900
      WHEN `x` > 1.7976931348623157e+308
      THEN 901
      WHEN `x` < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN `x` < 0
      THEN 904
      WHEN NOT `x` IS NULL
      THEN 903
    END
  END AS `b`,
  COUNT(*) AS `n`,
  SUM(
    CASE
      WHEN NOT `d` IS NULL
      THEN `d`
      WHEN ABS(`x`) <= 1.7976931348623157e308
      THEN `x` * 2.409919865102884e-181
    END
  ) AS `s1`,
  SUM(`d` * `d`) AS `s2`,
  MIN(`x`) AS `lo`,
  MAX(`x`) AS `hi`,
  COUNT(CASE WHEN `x` = 0 THEN 1 END) AS `k1`,
  COUNT(CASE WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` < 0 THEN 1 END) AS `k2`,
  COUNT(CASE WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` < 1.0e0 THEN 1 END) AS `k3`,
  COUNT(CASE WHEN ABS(`x`) <= 1.7976931348623157e308 AND `x` > 2400.0e0 THEN 1 END) AS `k4`
FROM (
  SELECT
    CAST(FLOOR(
      (
        unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS INT64) AS `g`,
    CAST(`carrier` AS STRING) AS `u1`,
    CAST(`dep "time"` AS FLOAT64) AS `x`,
    CASE
      WHEN ABS(CAST(`dep "time"` AS FLOAT64)) <= 1e+140
      THEN (
        (
          CASE
            WHEN ABS(CAST(`dep "time"` AS FLOAT64)) < 1e-140
            THEN 0.0e0
            ELSE CAST(`dep "time"` AS FLOAT64)
          END
        ) - 900.0e0
      )
    END AS `d`
  FROM `flights`.`features`
  WHERE
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
) AS `numbers`
GROUP BY
  `g`,
  `u1`,
  CASE
    WHEN NOT `d` IS NULL
    THEN CAST(FLOOR(
      150.0e0 * `d` / (
        400.0e0 + ABS(`d`)
      ) + 150.0e0 * `d` / (
        8000.0e0 + ABS(`d`)
      )
    ) AS INT64)
    ELSE CASE
      WHEN IS_NAN(`x`)
      THEN 900
      WHEN `x` > 1.7976931348623157e+308
      THEN 901
      WHEN `x` < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN `x` < 0
      THEN 904
      WHEN NOT `x` IS NULL
      THEN 903
    END
  END;

-- texts
SELECT
  *
FROM (
  SELECT
    *
  FROM (
    SELECT
      1 AS `p`,
      2 AS `f`,
      CAST(FLOOR(
        (
          unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS INT64) AS `g`,
      CAST(`carrier` AS STRING) AS `u1`,
      `carrier` AS `v`,
      COUNT(*) AS `n`
    FROM `flights`.`features`
    WHERE
      `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
      AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
    GROUP BY
      CAST(FLOOR(
        (
          unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS INT64),
      CAST(`carrier` AS STRING),
      `carrier`
  ) AS `limited`
  LIMIT 60003
) AS `cut`;

-- distinct sketches
SELECT
  8 AS `p`,
  0 AS `f`,
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  CAST((
    (
      FARM_FINGERPRINT(CAST((
        CAST(`delay` AS FLOAT64) + 0.0e0
      ) AS STRING)) & 9223372036854775807
    ) & 511
  ) AS INT64) AS `b`,
  CAST((
    MIN(
      (
        FARM_FINGERPRINT(CAST((
          CAST(`delay` AS FLOAT64) + 0.0e0
        ) AS STRING)) & 9223372036854775807
      )
    ) >> 9
  ) AS INT64) AS `n`
FROM `flights`.`features`
WHERE
  (
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
  )
  AND NOT `delay` IS NULL
GROUP BY
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64),
  CAST(`carrier` AS STRING),
  CAST((
    (
      FARM_FINGERPRINT(CAST((
        CAST(`delay` AS FLOAT64) + 0.0e0
      ) AS STRING)) & 9223372036854775807
    ) & 511
  ) AS INT64)
UNION ALL
SELECT
  8 AS `p`,
  1 AS `f`,
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  CAST((
    (
      FARM_FINGERPRINT(CAST((
        CAST(`dep "time"` AS FLOAT64) + 0.0e0
      ) AS STRING)) & 9223372036854775807
    ) & 511
  ) AS INT64) AS `b`,
  CAST((
    MIN(
      (
        FARM_FINGERPRINT(CAST((
          CAST(`dep "time"` AS FLOAT64) + 0.0e0
        ) AS STRING)) & 9223372036854775807
      )
    ) >> 9
  ) AS INT64) AS `n`
FROM `flights`.`features`
WHERE
  (
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
  )
  AND NOT `dep "time"` IS NULL
  AND (
    FARM_FINGERPRINT(CAST((
      CAST(`dep "time"` AS FLOAT64) + 0.0e0
    ) AS STRING)) & 9223372036854775807
  ) <= 1152921504606846975
GROUP BY
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64),
  CAST(`carrier` AS STRING),
  CAST((
    (
      FARM_FINGERPRINT(CAST((
        CAST(`dep "time"` AS FLOAT64) + 0.0e0
      ) AS STRING)) & 9223372036854775807
    ) & 511
  ) AS INT64);

-- exact distinct
SELECT
  9 AS `p`,
  0 AS `f`,
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64) AS `g`,
  CAST(NULL AS INT64) AS `b`,
  COUNT(DISTINCT `delay`) AS `n`
FROM `flights`.`features`
WHERE
  `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
  AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
GROUP BY
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64)
UNION ALL
SELECT
  9 AS `p`,
  1 AS `f`,
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64) AS `g`,
  CAST(NULL AS INT64) AS `b`,
  COUNT(DISTINCT `dep "time"`) AS `n`
FROM `flights`.`features`
WHERE
  `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
  AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
GROUP BY
  CAST(FLOOR(
    (
      unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS INT64);

-- row hashes
SELECT
  10 AS `p`,
  0 AS `f`,
  `g` AS `g`,
  `h` AS `b`,
  COUNT(*) AS `n`
FROM (
  SELECT
    CAST(FLOOR(
      (
        unix_micros(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS INT64) AS `g`,
    FARM_FINGERPRINT(
      CAST(TO_JSON_STRING(STRUCT(`delay`, `dep "time"`, `carrier`, `cancelled`)) AS STRING)
    ) & 9223372036854775807 AS `h`
  FROM `flights`.`features`
  WHERE
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
) AS `hashes`
WHERE
  `h` < 1152921504606846976
GROUP BY
  `g`,
  `h`;

-- open text, totals
SELECT
  `g` AS `g`,
  `u1` AS `u1`,
  SUM(`n`) AS `rows`,
  SUM(CASE WHEN `v` IS NULL THEN `n` ELSE 0 END) AS `nulls`,
  SUM(CASE WHEN `v` IN ('B6', 'it\'s') THEN `n` ELSE 0 END) AS `known`,
  SUM(CASE WHEN `v` = '' THEN `n` ELSE 0 END) AS `empty`,
  SUM(CASE WHEN TRIM(`v`) = '' AND `v` <> '' THEN `n` ELSE 0 END) AS `blank`,
  SUM(
    CASE
      WHEN LOWER(TRIM(`v`)) IN (
        'null',
        'none',
        'nil',
        'nothing',
        'nan',
        'na',
        'n/a',
        '#n/a',
        '<na>',
        'nat',
        'undefined'
      )
      THEN `n`
      ELSE 0
    END
  ) AS `null_keyword`,
  SUM(
    CASE
      WHEN REGEXP_CONTAINS(TRIM(`v`), '^([+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?)$')
      THEN `n`
      ELSE 0
    END
  ) AS `number_like`,
  SUM(
    CASE
      WHEN REGEXP_CONTAINS(
        TRIM(`v`),
        '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$'
      )
      THEN `n`
      ELSE 0
    END
  ) AS `uuid_like`,
  SUM(
    CASE
      WHEN REGEXP_CONTAINS(TRIM(`v`), '^([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,24})$')
      THEN `n`
      ELSE 0
    END
  ) AS `email_like`,
  SUM(
    CASE
      WHEN REGEXP_CONTAINS(
        TRIM(`v`),
        '^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)$'
      )
      THEN `n`
      ELSE 0
    END
  ) AS `timestamp_like`,
  SUM(`n` * LENGTH(`v`)) AS `length_sum`,
  MIN(LENGTH(`v`)) AS `length_min`,
  MAX(LENGTH(`v`)) AS `length_max`
FROM `texts`
GROUP BY
  `g`,
  `u1`;

-- open text, listed
SELECT
  `g`,
  `u1`,
  `v`,
  `n`,
  1 AS `known`
FROM `texts`
WHERE
  `v` IN ('B6', 'it\'s')
UNION ALL
SELECT
  `g`,
  `u1`,
  `v`,
  `n`,
  0 AS `known`
FROM (
  SELECT
    `g`,
    `u1`,
    `v`,
    `n`,
    ROW_NUMBER() OVER (PARTITION BY `g`, `u1` ORDER BY TO_HEX(MD5(`v`)) NULLS LAST) AS `place`
  FROM `texts`
  WHERE
    NOT `v` IS NULL AND NOT `v` IN ('B6', 'it\'s')
) AS `ranked`
WHERE
  `place` <= 256;
