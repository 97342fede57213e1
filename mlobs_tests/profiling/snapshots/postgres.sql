-- wide
SELECT
  CAST(FLOOR(
    (
      CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT) AS "g",
  CAST("carrier" AS TEXT) AS "u1",
  COUNT(*) AS "rows",
  CAST(EXTRACT(EPOCH FROM CAST(MAX("scheduled") AS TIMESTAMP)) * 1000000 AS BIGINT) AS "newest",
  COUNT("cancelled") AS "valued_3",
  COUNT(CASE WHEN CAST("cancelled" AS BOOLEAN) THEN 1 END) AS "trues_3",
  COUNT("scheduled") AS "valued_4",
  COUNT(
    CASE WHEN "scheduled" < CAST('1900-01-01 00:00:00.000000' AS TIMESTAMP) THEN 1 END
  ) AS "past_4",
  COUNT(
    CASE WHEN "scheduled" = CAST('1970-01-01 00:00:00.000000' AS TIMESTAMP) THEN 1 END
  ) AS "zero_4",
  CAST(EXTRACT(EPOCH FROM CAST(MIN("scheduled") AS TIMESTAMP)) * 1000000 AS BIGINT) AS "low_4",
  CAST(EXTRACT(EPOCH FROM CAST(MAX("scheduled") AS TIMESTAMP)) * 1000000 AS BIGINT) AS "high_4",
  COUNT(
    CASE
      WHEN CAST(FLOOR(
        (
          CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
        ) * 1.0e0 / 86400000000.0e0
      ) AS BIGINT) > (
        CAST(FLOOR(
          (
            CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
          ) * 1.0e0 / 86400000000.0e0
        ) AS BIGINT)
      )
      THEN 1
    END
  ) AS "future_4",
  COUNT(CASE WHEN "delay" IS NULL AND NOT "dep ""time""" IS NULL THEN 1 END) AS "alone_0",
  COUNT(
    (
      (
        (
          (
            (
              (
                CASE
                  WHEN CAST("delay" AS DOUBLE PRECISION) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE PRECISION) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE PRECISION)
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
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE PRECISION)
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
                  WHEN CAST("delay" AS DOUBLE PRECISION) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE PRECISION) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE PRECISION)
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
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE PRECISION)
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
                  WHEN CAST("delay" AS DOUBLE PRECISION) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE PRECISION) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE PRECISION)
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
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE PRECISION)
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
                  WHEN CAST("delay" AS DOUBLE PRECISION) < (
                    -163.0e0
                  )
                  THEN (
                    -163.0e0
                  )
                  WHEN CAST("delay" AS DOUBLE PRECISION) > 157.0e0
                  THEN 157.0e0
                  ELSE CAST("delay" AS DOUBLE PRECISION)
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
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) < (
                      -2300.0e0
                    )
                    THEN (
                      -2300.0e0
                    )
                    WHEN CAST("dep ""time""" AS DOUBLE PRECISION) > 4100.0e0
                    THEN 4100.0e0
                    ELSE CAST("dep ""time""" AS DOUBLE PRECISION)
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
  CAST(FLOOR(
    (
      CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
    ) * 1.0e0 / 86400000000.0e0
  ) AS BIGINT),
  CAST("carrier" AS TEXT);

-- bins
SELECT
  0 AS "p",
  "f" AS "f",
  "g" AS "g",
  "u1" AS "u1",
  CASE
    WHEN NOT "d" IS NULL
    THEN CAST(FLOOR(
      150.0e0 * "d" / (
        "scale" + ABS("d")
      ) + 150.0e0 * "d" / (
        "tail" + ABS("d")
      )
    ) AS BIGINT)
    ELSE CASE
      WHEN "x" = CAST('NaN' AS DOUBLE PRECISION)
      THEN 900
      WHEN "x" > 1.7976931348623157e+308
      THEN 901
      WHEN "x" < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN "x" < 0
      THEN 904
      WHEN NOT "x" IS NULL
      THEN 903
    END
  END AS "b",
  COUNT(*) AS "n",
  SUM(
    CASE
      WHEN NOT "d" IS NULL
      THEN "d"
      WHEN ABS("x") <= 1.7976931348623157e308
      THEN "x" * 2.409919865102884e-181
    END
  ) AS "s1",
  SUM("d" * "d") AS "s2",
  MIN("x") AS "lo",
  MAX("x") AS "hi",
  COUNT(CASE WHEN "x" = 0 THEN 1 END) AS "k1",
  COUNT(CASE WHEN ABS("x") <= 1.7976931348623157e308 AND "x" < 0 THEN 1 END) AS "k2",
  COUNT(CASE WHEN ABS("x") <= 1.7976931348623157e308 AND "x" < "low" THEN 1 END) AS "k3",
  COUNT(CASE WHEN ABS("x") <= 1.7976931348623157e308 AND "x" > "high" THEN 1 END) AS "k4"
FROM (
  SELECT
    CAST(FLOOR(
      (
        CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS "g",
    CAST("carrier" AS TEXT) AS "u1",
    "fields"."f" AS "f",
    "fields"."x" AS "x",
    "fields"."scale" AS "scale",
    "fields"."tail" AS "tail",
    "fields"."low" AS "low",
    "fields"."high" AS "high",
    CASE
      WHEN ABS("fields"."x") <= 1e+140
      THEN (
        (
          CASE WHEN ABS("fields"."x") < 1e-140 THEN 0.0e0 ELSE "fields"."x" END
        ) - "fields"."centre"
      )
    END AS "d"
  FROM "flights"."features"
  CROSS JOIN LATERAL (
    VALUES
      (
        0,
        "delay",
        CAST((
          -2.9885057471264367e0
        ) AS DOUBLE PRECISION),
        CAST(20.0e0 AS DOUBLE PRECISION),
        CAST(20.0e0 AS DOUBLE PRECISION),
        CAST((
          -1.7976931348623157e+308
        ) AS DOUBLE PRECISION),
        CAST(1.7976931348623157e+308 AS DOUBLE PRECISION)
      ),
      (
        1,
        CAST("dep ""time""" AS DOUBLE PRECISION),
        CAST(900.0e0 AS DOUBLE PRECISION),
        CAST(400.0e0 AS DOUBLE PRECISION),
        CAST(8000.0e0 AS DOUBLE PRECISION),
        CAST(1.0e0 AS DOUBLE PRECISION),
        CAST(2400.0e0 AS DOUBLE PRECISION)
      )
  ) AS "fields"("f", "x", "centre", "scale", "tail", "low", "high")
  WHERE
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
) AS "numbers"
GROUP BY
  "g",
  "u1",
  "f",
  CASE
    WHEN NOT "d" IS NULL
    THEN CAST(FLOOR(
      150.0e0 * "d" / (
        "scale" + ABS("d")
      ) + 150.0e0 * "d" / (
        "tail" + ABS("d")
      )
    ) AS BIGINT)
    ELSE CASE
      WHEN "x" = CAST('NaN' AS DOUBLE PRECISION)
      THEN 900
      WHEN "x" > 1.7976931348623157e+308
      THEN 901
      WHEN "x" < (
        -1.7976931348623157e+308
      )
      THEN 902
      WHEN "x" < 0
      THEN 904
      WHEN NOT "x" IS NULL
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
      1 AS "p",
      "f" AS "f",
      "g" AS "g",
      "u1" AS "u1",
      "v" AS "v",
      COUNT(*) AS "n"
    FROM (
      SELECT
        CAST(FLOOR(
          (
            CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
          ) * 1.0e0 / 86400000000.0e0
        ) AS BIGINT) AS "g",
        CAST("carrier" AS TEXT) AS "u1",
        "fields"."f" AS "f",
        "fields"."v" AS "v"
      FROM "flights"."features"
      CROSS JOIN LATERAL (
        VALUES
          (2, CAST("carrier" AS TEXT))
      ) AS "fields"("f", "v")
      WHERE
        "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
        AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
    ) AS "texts"
    GROUP BY
      "g",
      "u1",
      "f",
      "v"
  ) AS "limited"
  LIMIT 60003
) AS "cut";

-- distinct sketches
SELECT
  8 AS "p",
  "f" AS "f",
  "g" AS "g",
  "u1" AS "u1",
  CAST((
    "h" & 511
  ) AS BIGINT) AS "b",
  CAST((
    MIN("h") >> 9
  ) AS BIGINT) AS "n"
FROM (
  SELECT
    CAST(FLOOR(
      (
        CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS "g",
    CAST("carrier" AS TEXT) AS "u1",
    "fields"."f" AS "f",
    "fields"."h" AS "h"
  FROM "flights"."features"
  CROSS JOIN LATERAL (
    VALUES
      (
        0,
        CASE
          WHEN NOT "delay" IS NULL
          THEN (
            HASHTEXTEXTENDED(CAST((
              CAST("delay" AS DOUBLE PRECISION) + 0.0e0
            ) AS TEXT), 0) & 9223372036854775807
          )
        END,
        9223372036854775807
      ),
      (
        1,
        CASE
          WHEN NOT "dep ""time""" IS NULL
          THEN (
            HASHTEXTEXTENDED(CAST((
              CAST("dep ""time""" AS DOUBLE PRECISION) + 0.0e0
            ) AS TEXT), 0) & 9223372036854775807
          )
        END,
        1152921504606846975
      )
  ) AS "fields"("f", "h", "bound")
  WHERE
    (
      "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
      AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
    )
    AND NOT "fields"."h" IS NULL
    AND "fields"."h" <= "fields"."bound"
) AS "hashes"
GROUP BY
  "g",
  "u1",
  "f",
  CAST((
    "h" & 511
  ) AS BIGINT);

-- exact distinct
SELECT
  9 AS "p",
  "f" AS "f",
  "g" AS "g",
  CAST(NULL AS BIGINT) AS "b",
  COUNT(DISTINCT "h") AS "n"
FROM (
  SELECT
    CAST(FLOOR(
      (
        CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS "g",
    "fields"."f" AS "f",
    "fields"."h" AS "h"
  FROM "flights"."features"
  CROSS JOIN LATERAL (
    VALUES
      (
        0,
        CASE
          WHEN NOT "delay" IS NULL
          THEN (
            HASHTEXTEXTENDED(CAST((
              CAST("delay" AS DOUBLE PRECISION) + 0.0e0
            ) AS TEXT), 0) & 9223372036854775807
          )
        END
      ),
      (
        1,
        CASE
          WHEN NOT "dep ""time""" IS NULL
          THEN (
            HASHTEXTEXTENDED(CAST((
              CAST("dep ""time""" AS DOUBLE PRECISION) + 0.0e0
            ) AS TEXT), 0) & 9223372036854775807
          )
        END
      )
  ) AS "fields"("f", "h")
  WHERE
    "scheduled" >= CAST('2013-01-01 00:00:00.000000' AS TIMESTAMP)
    AND "scheduled" < CAST('2013-01-04 00:00:00.000000' AS TIMESTAMP)
) AS "hashes"
GROUP BY
  "g",
  "f";

-- row hashes
SELECT
  10 AS "p",
  0 AS "f",
  "g" AS "g",
  "h" AS "b",
  COUNT(*) AS "n"
FROM (
  SELECT
    CAST(FLOOR(
      (
        CAST(EXTRACT(EPOCH FROM CAST("scheduled" AS TIMESTAMP)) * 1000000 AS BIGINT) - 1356998400000000
      ) * 1.0e0 / 86400000000.0e0
    ) AS BIGINT) AS "g",
    HASHTEXTEXTENDED(CAST(ROW("delay", "dep ""time""", "carrier", "cancelled") AS TEXT), 0) & 9223372036854775807 AS "h"
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
      WHEN TRIM("v") ~ '^([+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?)$'
      THEN "n"
      ELSE 0
    END
  ) AS "number_like",
  SUM(
    CASE
      WHEN TRIM("v") ~ '^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$'
      THEN "n"
      ELSE 0
    END
  ) AS "uuid_like",
  SUM(
    CASE
      WHEN TRIM("v") ~ '^([A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,24})$'
      THEN "n"
      ELSE 0
    END
  ) AS "email_like",
  SUM(
    CASE
      WHEN TRIM("v") ~ '^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)$'
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
