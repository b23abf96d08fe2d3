\echo Use "ALTER EXTENSION pgberth_test UPDATE TO '1.1'" to load this file. \quit

CREATE FUNCTION pgberth_metres(amount numeric, unit text) RETURNS numeric
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN amount * (SELECT factor FROM pgberth_unit WHERE code = unit);
END $$;

UPDATE pgberth_version SET version = '1.1';
