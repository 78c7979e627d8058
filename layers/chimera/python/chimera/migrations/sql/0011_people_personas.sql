-- People make, change and delete personas through the API.
CALL allow('chimera_people', 'INSERT, UPDATE, DELETE', 'personas');
