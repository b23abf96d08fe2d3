-- Row security, on, forced, and with policies but off.

CREATE TABLE zoo.secrets (id int PRIMARY KEY, owner name DEFAULT current_user, secret text);
INSERT INTO zoo.secrets SELECT i, CASE WHEN i % 2 = 0 THEN 'menagerie_keeper' ELSE 'somebody' END, 's' || i FROM generate_series(1, 20) i;
ALTER TABLE zoo.secrets OWNER TO menagerie_keeper;
ALTER TABLE zoo.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE zoo.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY "own; rows" ON zoo.secrets USING (owner = current_user) WITH CHECK (secret <> 'it''s; "out"');
CREATE POLICY never ON zoo.secrets AS RESTRICTIVE FOR DELETE TO menagerie_vet, "Menagerie ""Visitor""; ünï" USING (false);
CREATE POLICY insert_only ON zoo.secrets FOR INSERT TO PUBLIC WITH CHECK (EXISTS (SELECT FROM zoo.keepers WHERE id = secrets.id));
COMMENT ON POLICY "own; rows" ON zoo.secrets IS 'a policy';
CREATE POLICY asleep ON zoo.bookings FOR SELECT USING (cage > 0);
ALTER TABLE zoo.identity_full ENABLE ROW LEVEL SECURITY;
