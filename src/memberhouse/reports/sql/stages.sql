select
    stage_code,
    name_en,
    name_zh,
    rule_en,
    rule_zh
from bi.dim_stage
order by sort_order, stage_code
