-- Grain: node x hour that a rate card bills (own hardware, small clouds), as a charge. No rate card bills yet.
select * from ({{ staged('charges', charge_columns()) }}) as charges
where 1 = 0
