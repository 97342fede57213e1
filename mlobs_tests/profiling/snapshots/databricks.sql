-- wide
SELECT
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  COUNT(*) AS `rows`,
  UNIX_MICROS(CAST(MAX(`scheduled`) AS TIMESTAMP)) AS `newest`,
  COUNT(`cancelled`) AS `valued_3`,
  COUNT_IF(CAST(`cancelled` AS BOOLEAN)) AS `trues_3`,
  COUNT(`scheduled`) AS `valued_4`,
  COUNT_IF(`scheduled` < CAST('1900-01-01 00:00:00.000000+00:00' AS TIMESTAMP)) AS `past_4`,
  COUNT_IF(`scheduled` = CAST('1970-01-01 00:00:00.000000+00:00' AS TIMESTAMP)) AS `zero_4`,
  UNIX_MICROS(CAST(MIN(`scheduled`) AS TIMESTAMP)) AS `low_4`,
  UNIX_MICROS(CAST(MAX(`scheduled`) AS TIMESTAMP)) AS `high_4`,
  COUNT_IF(
    CAST(FLOOR(
      (
        UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) > (
      CAST(FLOOR(
        (
          UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS BIGINT)
    )
  ) AS `future_4`,
  COUNT_IF(`delay` IS NULL AND NOT `dep "time"` IS NULL) AS `alone_0`,
  COUNT(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST(`delay` AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS DOUBLE)
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
                    WHEN CAST(`dep "time"` AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS DOUBLE)
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
                  WHEN CAST(`delay` AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS DOUBLE)
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
                    WHEN CAST(`dep "time"` AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS DOUBLE)
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
                  WHEN CAST(`delay` AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS DOUBLE)
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
                    WHEN CAST(`dep "time"` AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS DOUBLE)
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
                  WHEN CAST(`delay` AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST(`delay` AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST(`delay` AS DOUBLE)
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
                    WHEN CAST(`dep "time"` AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST(`dep "time"` AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST(`dep "time"` AS DOUBLE)
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
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT),
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
    )) AS BIGINT)
    ELSE CASE
      WHEN ISNAN(`x`)
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
  COUNT_IF(`x` = 0) AS `k1`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` < 0) AS `k2`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` < (
    -1.7976931348623157e+308
  )) AS `k3`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` > 1.7976931348623157e+308) AS `k4`
FROM (
  SELECT
    CAST(FLOOR(
      (
        UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS `g`,
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
    )) AS BIGINT)
    ELSE CASE
      WHEN ISNAN(`x`)
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
    ) AS BIGINT)
    ELSE CASE
      WHEN ISNAN(`x`)
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
  COUNT_IF(`x` = 0) AS `k1`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` < 0) AS `k2`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` < 1.0e0) AS `k3`,
  COUNT_IF(ABS(`x`) <= 1.7976931348623157e308 AND `x` > 2400.0e0) AS `k4`
FROM (
  SELECT
    CAST(FLOOR(
      (
        UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS `g`,
    CAST(`carrier` AS STRING) AS `u1`,
    CAST(`dep "time"` AS DOUBLE) AS `x`,
    CASE
      WHEN ABS(CAST(`dep "time"` AS DOUBLE)) <= 1e+140
      THEN (
        (
          CASE
            WHEN ABS(CAST(`dep "time"` AS DOUBLE)) < 1e-140
            THEN 0.0e0
            ELSE CAST(`dep "time"` AS DOUBLE)
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
    ) AS BIGINT)
    ELSE CASE
      WHEN ISNAN(`x`)
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
          UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS BIGINT) AS `g`,
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
          UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS BIGINT),
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
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  CAST((
    (
      CASE
        WHEN NOT (
          CAST(`delay` AS DOUBLE) + 0.0e0
        ) IS NULL
        THEN XXHASH64((
          CAST(`delay` AS DOUBLE) + 0.0e0
        )) & 9223372036854775807
      END
    ) & 511
  ) AS BIGINT) AS `b`,
  CAST((
    SHIFTRIGHT(
      MIN(
        (
          CASE
            WHEN NOT (
              CAST(`delay` AS DOUBLE) + 0.0e0
            ) IS NULL
            THEN XXHASH64((
              CAST(`delay` AS DOUBLE) + 0.0e0
            )) & 9223372036854775807
          END
        )
      ),
      9
    )
  ) AS BIGINT) AS `n`
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
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT),
  CAST(`carrier` AS STRING),
  CAST((
    (
      CASE
        WHEN NOT (
          CAST(`delay` AS DOUBLE) + 0.0e0
        ) IS NULL
        THEN XXHASH64((
          CAST(`delay` AS DOUBLE) + 0.0e0
        )) & 9223372036854775807
      END
    ) & 511
  ) AS BIGINT)
UNION ALL
SELECT
  8 AS `p`,
  1 AS `f`,
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS `g`,
  CAST(`carrier` AS STRING) AS `u1`,
  CAST((
    (
      CASE
        WHEN NOT (
          CAST(`dep "time"` AS DOUBLE) + 0.0e0
        ) IS NULL
        THEN XXHASH64((
          CAST(`dep "time"` AS DOUBLE) + 0.0e0
        )) & 9223372036854775807
      END
    ) & 511
  ) AS BIGINT) AS `b`,
  CAST((
    SHIFTRIGHT(
      MIN(
        (
          CASE
            WHEN NOT (
              CAST(`dep "time"` AS DOUBLE) + 0.0e0
            ) IS NULL
            THEN XXHASH64((
              CAST(`dep "time"` AS DOUBLE) + 0.0e0
            )) & 9223372036854775807
          END
        )
      ),
      9
    )
  ) AS BIGINT) AS `n`
FROM `flights`.`features`
WHERE
  (
    `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
    AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
  )
  AND NOT `dep "time"` IS NULL
  AND (
    CASE
      WHEN NOT (
        CAST(`dep "time"` AS DOUBLE) + 0.0e0
      ) IS NULL
      THEN XXHASH64((
        CAST(`dep "time"` AS DOUBLE) + 0.0e0
      )) & 9223372036854775807
    END
  ) <= 1152921504606846975
GROUP BY
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT),
  CAST(`carrier` AS STRING),
  CAST((
    (
      CASE
        WHEN NOT (
          CAST(`dep "time"` AS DOUBLE) + 0.0e0
        ) IS NULL
        THEN XXHASH64((
          CAST(`dep "time"` AS DOUBLE) + 0.0e0
        )) & 9223372036854775807
      END
    ) & 511
  ) AS BIGINT);

-- exact distinct
SELECT
  9 AS `p`,
  0 AS `f`,
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS `g`,
  CAST(NULL AS BIGINT) AS `b`,
  COUNT(DISTINCT `delay`) AS `n`
FROM `flights`.`features`
WHERE
  `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
  AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
GROUP BY
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT)
UNION ALL
SELECT
  9 AS `p`,
  1 AS `f`,
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS `g`,
  CAST(NULL AS BIGINT) AS `b`,
  COUNT(DISTINCT `dep "time"`) AS `n`
FROM `flights`.`features`
WHERE
  `scheduled` >= CAST('2013-01-01 00:00:00.000000+00:00' AS TIMESTAMP)
  AND `scheduled` < CAST('2013-01-04 00:00:00.000000+00:00' AS TIMESTAMP)
GROUP BY
  CAST(FLOOR(
    (
      UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT);

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
        UNIX_MICROS(CAST(`scheduled` AS TIMESTAMP)) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS `g`,
    (
      XXHASH64(`delay`, `dep "time"`, `carrier`, `cancelled`) & 9223372036854775807
    ) AS `h`
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
      WHEN REGEXP_LIKE(TRIM(`v`), '^([+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?)$(?!\\n)')
      THEN `n`
      ELSE 0
    END
  ) AS `number_like`,
  SUM(
    CASE
      WHEN REGEXP_LIKE(
        TRIM(`v`),
        '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$(?!\\n)'
      )
      THEN `n`
      ELSE 0
    END
  ) AS `uuid_like`,
  SUM(
    CASE
      WHEN REGEXP_LIKE(TRIM(`v`), '^([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,24})$(?!\\n)')
      THEN `n`
      ELSE 0
    END
  ) AS `email_like`,
  SUM(
    CASE
      WHEN REGEXP_LIKE(
        TRIM(`v`),
        '^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)$(?!\\n)'
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
    ROW_NUMBER() OVER (PARTITION BY `g`, `u1` ORDER BY MD5(`v`) NULLS LAST) AS `place`
  FROM `texts`
  WHERE
    NOT `v` IS NULL AND NOT `v` IN ('B6', 'it\'s')
) AS `ranked`
WHERE
  `place` <= 256;
