-- wide
SELECT
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  COUNT(*) AS "rows",
  EPOCH_US(CAST(MAX("scheduled") AS TIMESTAMP)) AS "newest",
  COUNT("cancelled") AS "valued_3",
  COUNT_IF(CAST("cancelled" AS BOOLEAN)) AS "trues_3",
  COUNT("scheduled") AS "valued_4",
  COUNT_IF("scheduled" < CAST('1900-01-01 00:00:00.000000' AS TIMESTAMP)) AS "past_4",
  COUNT_IF("scheduled" = CAST('1970-01-01 00:00:00.000000' AS TIMESTAMP)) AS "zero_4",
  EPOCH_US(CAST(MIN("scheduled") AS TIMESTAMP)) AS "low_4",
  EPOCH_US(CAST(MAX("scheduled") AS TIMESTAMP)) AS "high_4",
  COUNT_IF(
    (
      CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
    ) > (
      (
        CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
      )
    )
  ) AS "future_4",
  COUNT_IF("delay" IS NULL AND NOT "dep ""time""" IS NULL) AS "alone_0",
  COUNT(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST("delay" AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE)
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
                    WHEN CAST("dep ""time""" AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS "residuals_0",
  SUM(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST("delay" AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE)
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
                    WHEN CAST("dep ""time""" AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS "total_0",
  SUM(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST("delay" AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE)
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
                    WHEN CAST("dep ""time""" AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE)
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
                  WHEN CAST("delay" AS DOUBLE) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE)
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
                    WHEN CAST("dep ""time""" AS DOUBLE) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE)
                  END
                ) - 900.0e0
              ) / 400.0e0
            )
          )
        ) / 0.8e0
      )
    )
  ) AS "squares_0"
FROM "flights"."features"
WHERE
  "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
  AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT);

-- bins
SELECT
  0 AS "p",
  0 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  TRY_CAST(FLOOR(
    300.0e0 * (
      "delay" - (
        -2.9885057471264367e0
      )
    ) / (
      20.0e0 + ABS((
        "delay" - (
          -2.9885057471264367e0
        )
      ))
    )
  ) AS SMALLINT) AS "b",
  COUNT(*) AS "n",
  SUM((
    "delay" - (
      -2.9885057471264367e0
    )
  )) AS "s1",
  SUM(
    (
      "delay" - (
        -2.9885057471264367e0
      )
    ) * (
      "delay" - (
        -2.9885057471264367e0
      )
    )
  ) AS "s2",
  MIN("delay") AS "lo",
  MAX("delay") AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
  AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT),
  TRY_CAST(FLOOR(
    300.0e0 * (
      "delay" - (
        -2.9885057471264367e0
      )
    ) / (
      20.0e0 + ABS((
        "delay" - (
          -2.9885057471264367e0
        )
      ))
    )
  ) AS SMALLINT)
UNION ALL
SELECT
  0 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  TRY_CAST(FLOOR(
    150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      400.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    ) + 150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      8000.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    )
  ) AS SMALLINT) AS "b",
  COUNT(*) AS "n",
  SUM((
    CAST("dep ""time""" AS DOUBLE) - 900.0e0
  )) AS "s1",
  SUM(
    (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    )
  ) AS "s2",
  MIN(CAST("dep ""time""" AS DOUBLE)) AS "lo",
  MAX(CAST("dep ""time""" AS DOUBLE)) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
  AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT),
  TRY_CAST(FLOOR(
    150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      400.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    ) + 150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      8000.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    )
  ) AS SMALLINT);

-- texts
SELECT
  *
FROM (
  SELECT
    *
  FROM (
    SELECT
      1 AS "p",
      2 AS "f",
      (
        CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
      ) AS "g",
      CAST("carrier" AS TEXT) AS "u1",
      "carrier" AS "v",
      COUNT(*) AS "n"
    FROM "flights"."features"
    WHERE
      "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
      AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
    GROUP BY
      CAST("scheduled" AS DATE),
      CAST("carrier" AS TEXT),
      "carrier"
  ) AS "limited"
  LIMIT 60003
) AS "cut";

-- distinct sketches
SELECT
  8 AS "p",
  0 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST((
    (
      HASH("delay") >> 1
    ) & 511
  ) AS BIGINT) AS "b",
  CAST((
    MIN((
      HASH("delay") >> 1
    )) >> 9
  ) AS BIGINT) AS "n"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND NOT "delay" IS NULL
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT),
  CAST((
    (
      HASH("delay") >> 1
    ) & 511
  ) AS BIGINT)
UNION ALL
SELECT
  8 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST((
    (
      HASH("dep ""time""") >> 1
    ) & 511
  ) AS BIGINT) AS "b",
  CAST((
    MIN((
      HASH("dep ""time""") >> 1
    )) >> 9
  ) AS BIGINT) AS "n"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND NOT "dep ""time""" IS NULL
  AND (
    HASH("dep ""time""") >> 1
  ) <= 1152921504606846975
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT),
  CAST((
    (
      HASH("dep ""time""") >> 1
    ) & 511
  ) AS BIGINT);

-- exact distinct
SELECT
  9 AS "p",
  0 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(DISTINCT "delay") AS "n"
FROM "flights"."features"
WHERE
  "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
  AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
GROUP BY
  CAST("scheduled" AS DATE)
UNION ALL
SELECT
  9 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(DISTINCT "dep ""time""") AS "n"
FROM "flights"."features"
WHERE
  "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
  AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
GROUP BY
  CAST("scheduled" AS DATE);

-- row hashes
SELECT
  10 AS "p",
  0 AS "f",
  "g" AS "g",
  "h" AS "b",
  COUNT(*) AS "n"
FROM (
  SELECT
    (
      CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
    ) AS "g",
    CAST((
      HASH("delay", "dep ""time""", "carrier", "cancelled") >> 1
    ) AS BIGINT) AS "h"
  FROM "flights"."features"
  WHERE
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
) AS "hashes"
WHERE
  "h" < 1152921504606846976
GROUP BY
  "g",
  "h";

-- open text, totals
SELECT
  "g" AS "g",
  "u1" AS "u1",
  SUM("n") AS "rows",
  SUM(CASE WHEN "v" IS NULL THEN "n" ELSE 0 END) AS "nulls",
  SUM(CASE WHEN "v" IN ('B6', 'it''s') THEN "n" ELSE 0 END) AS "known",
  SUM(CASE WHEN "v" = '' THEN "n" ELSE 0 END) AS "empty",
  SUM(CASE WHEN TRIM("v") = '' AND "v" <> '' THEN "n" ELSE 0 END) AS "blank",
  SUM(
    CASE
      WHEN LOWER(TRIM("v")) IN (
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
      THEN "n"
      ELSE 0
    END
  ) AS "null_keyword",
  SUM(
    CASE
      WHEN REGEXP_MATCHES(TRIM("v"), '^([+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?)$')
      THEN "n"
      ELSE 0
    END
  ) AS "number_like",
  SUM(
    CASE
      WHEN REGEXP_MATCHES(
        TRIM("v"),
        '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$'
      )
      THEN "n"
      ELSE 0
    END
  ) AS "uuid_like",
  SUM(
    CASE
      WHEN REGEXP_MATCHES(TRIM("v"), '^([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,24})$')
      THEN "n"
      ELSE 0
    END
  ) AS "email_like",
  SUM(
    CASE
      WHEN REGEXP_MATCHES(
        TRIM("v"),
        '^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)$'
      )
      THEN "n"
      ELSE 0
    END
  ) AS "timestamp_like",
  SUM("n" * LENGTH("v")) AS "length_sum",
  MIN(LENGTH("v")) AS "length_min",
  MAX(LENGTH("v")) AS "length_max"
FROM "texts"
GROUP BY
  "g",
  "u1";

-- open text, listed
SELECT
  "g",
  "u1",
  "v",
  "n",
  1 AS "known"
FROM "texts"
WHERE
  "v" IN ('B6', 'it''s')
UNION ALL
SELECT
  "g",
  "u1",
  "v",
  "n",
  0 AS "known"
FROM (
  SELECT
    "g",
    "u1",
    "v",
    "n",
    ROW_NUMBER() OVER (PARTITION BY "g", "u1" ORDER BY MD5("v")) AS "place"
  FROM "texts"
  WHERE
    NOT "v" IS NULL AND NOT "v" IN ('B6', 'it''s')
) AS "ranked"
WHERE
  "place" <= 256;

-- follow-ups
SELECT
  2 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(*) AS "n",
  CAST(NULL AS DOUBLE) AS "s1",
  CAST(NULL AS DOUBLE) AS "s2",
  CAST(NULL AS DOUBLE) AS "lo",
  CAST(NULL AS DOUBLE) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND CAST("dep ""time""" AS DOUBLE) = 0
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT)
UNION ALL
SELECT
  3 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(*) AS "n",
  CAST(NULL AS DOUBLE) AS "s1",
  CAST(NULL AS DOUBLE) AS "s2",
  CAST(NULL AS DOUBLE) AS "lo",
  CAST(NULL AS DOUBLE) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND CAST("dep ""time""" AS DOUBLE) < 0
  AND CAST("dep ""time""" AS DOUBLE) >= (
    -1.7976931348623157e+308
  )
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT)
UNION ALL
SELECT
  4 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(*) AS "n",
  CAST(NULL AS DOUBLE) AS "s1",
  CAST(NULL AS DOUBLE) AS "s2",
  CAST(NULL AS DOUBLE) AS "lo",
  CAST(NULL AS DOUBLE) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND CAST("dep ""time""" AS DOUBLE) < 1.0e0
  AND CAST("dep ""time""" AS DOUBLE) >= (
    -1.7976931348623157e+308
  )
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT)
UNION ALL
SELECT
  5 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(*) AS "n",
  CAST(NULL AS DOUBLE) AS "s1",
  CAST(NULL AS DOUBLE) AS "s2",
  CAST(NULL AS DOUBLE) AS "lo",
  CAST(NULL AS DOUBLE) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND CAST("dep ""time""" AS DOUBLE) > 2400.0e0
  AND CAST("dep ""time""" AS DOUBLE) <= 1.7976931348623157e+308
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT)
UNION ALL
SELECT
  7 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(*) AS "n",
  SUM(
    (
      CASE
        WHEN ABS((
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )) < 1e-140
        THEN 0.0e0
        ELSE (
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )
      END
    )
  ) AS "s1",
  SUM(
    (
      CASE
        WHEN ABS((
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )) < 1e-140
        THEN 0.0e0
        ELSE (
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )
      END
    ) * (
      CASE
        WHEN ABS((
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )) < 1e-140
        THEN 0.0e0
        ELSE (
          CAST("dep ""time""" AS DOUBLE) - 5.0e9
        )
      END
    )
  ) AS "s2",
  CAST(NULL AS DOUBLE) AS "lo",
  CAST(NULL AS DOUBLE) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND ABS(CAST("dep ""time""" AS DOUBLE)) <= 1.7976931348623157e308
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT)
UNION ALL
SELECT
  6 AS "p",
  1 AS "f",
  (
    CAST("scheduled" AS DATE) - CAST('2013-01-01' AS DATE)
  ) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  CASE
    WHEN ISNAN(CAST("dep ""time""" AS DOUBLE))
    THEN 900
    WHEN CAST("dep ""time""" AS DOUBLE) > 1.7976931348623157e+308
    THEN 901
    WHEN CAST("dep ""time""" AS DOUBLE) < (
      -1.7976931348623157e+308
    )
    THEN 902
    WHEN CAST("dep ""time""" AS DOUBLE) < 0
    THEN 904
    WHEN NOT CAST("dep ""time""" AS DOUBLE) IS NULL
    THEN 903
  END AS "b",
  COUNT(*) AS "n",
  SUM(
    CASE
      WHEN ABS(CAST("dep ""time""" AS DOUBLE)) <= 1.7976931348623157e308
      THEN CAST("dep ""time""" AS DOUBLE) * 2.409919865102884e-181
    END
  ) AS "s1",
  CAST(NULL AS DOUBLE) AS "s2",
  MIN(CAST("dep ""time""" AS DOUBLE)) AS "lo",
  MAX(CAST("dep ""time""" AS DOUBLE)) AS "hi",
  CAST(NULL AS BIGINT) AS "k1",
  CAST(NULL AS BIGINT) AS "k2",
  CAST(NULL AS BIGINT) AS "k3",
  CAST(NULL AS BIGINT) AS "k4"
FROM "flights"."features"
WHERE
  (
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
  )
  AND NOT "dep ""time""" IS NULL
  AND TRY_CAST(FLOOR(
    150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      400.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    ) + 150.0e0 * (
      CAST("dep ""time""" AS DOUBLE) - 900.0e0
    ) / (
      8000.0e0 + ABS((
        CAST("dep ""time""" AS DOUBLE) - 900.0e0
      ))
    )
  ) AS SMALLINT) IS NULL
GROUP BY
  CAST("scheduled" AS DATE),
  CAST("carrier" AS TEXT),
  CASE
    WHEN ISNAN(CAST("dep ""time""" AS DOUBLE))
    THEN 900
    WHEN CAST("dep ""time""" AS DOUBLE) > 1.7976931348623157e+308
    THEN 901
    WHEN CAST("dep ""time""" AS DOUBLE) < (
      -1.7976931348623157e+308
    )
    THEN 902
    WHEN CAST("dep ""time""" AS DOUBLE) < 0
    THEN 904
    WHEN NOT CAST("dep ""time""" AS DOUBLE) IS NULL
    THEN 903
  END;
